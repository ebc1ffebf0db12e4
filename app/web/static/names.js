/** The names under a picture; a name stays for a moment, so that one missed face does not flicker. */

import { arrange, build, setText } from "./dom.js";

const HOLD = 1200;

/** Keeps a list element in step with the faces of the newest pictures. */
export class Names {
  /** @type {Map<string, {name: string, similarity: number|null, at: number}>} */
  #known = new Map();
  /** @type {{number: number, at: number}[]} */
  #unknown = [];
  /** @type {Map<string, HTMLLIElement>} */
  #items = new Map();

  /** @param {HTMLUListElement} list */
  constructor(list) {
    this.list = list;
  }

  /** @param {import("./live.js").Face[]} faces */
  update(faces) {
    const at = performance.now();
    for (const { person, name, similarity } of faces) {
      if (person && name) this.#known.set(person, { name, similarity, at });
    }
    this.#unknown.push({ number: faces.filter((face) => !face.name).length, at });
    this.expire();
  }

  /** Let go of who was not seen for a while; call it now and then where no pictures come. */
  expire() {
    const since = performance.now() - HOLD;
    for (const [person, { at }] of this.#known) if (at < since) this.#known.delete(person);
    this.#unknown = this.#unknown.filter(({ at }) => at >= since);
    this.#render();
  }

  #render() {
    const wanted = [...this.#known].map(([person, { name, similarity }]) => this.#item(person, name, similarity));
    const strangers = Math.max(0, ...this.#unknown.map(({ number }) => number));
    if (strangers) wanted.push(this.#item("", strangers === 1 ? "Unknown" : `${strangers} unknown`, null));
    arrange(this.list, wanted);
    for (const key of this.#items.keys()) if (key && !this.#known.has(key)) this.#items.delete(key);
  }

  #item(key, name, similarity) {
    let item = this.#items.get(key);
    if (!item) {
      item = build("li", { className: key ? "known" : "unknown" }, build("span"), build("small"));
      this.#items.set(key, item);
    }
    setText(item.firstChild, name);
    setText(item.lastChild, similarity === null ? "" : similarity.toFixed(2));
    return item;
  }
}
