/** The people who are enrolled: their cards, and deleting them. */

import { ask } from "./api.js";
import { arrange, build, byId, setText, toast } from "./dom.js";
import { count } from "./format.js";

/**
 * @typedef {{template: string, size: [number, number], score: number, crop: string}} Photo
 * @typedef {{id: string, name: string, created: number, updated: number, photos: Photo[]}} Person
 */

/** Shows `GET /people`; events: `change` with the list, `add` with a person to enrol more of. */
export class People extends EventTarget {
  /** @type {Map<string, {key: string, element: HTMLElement}>} */
  #cards = new Map();
  /** @type {Person | null} */
  #leaving = null;
  #dialog = byId("remove");

  constructor() {
    super();
    byId("remove-confirm").addEventListener("click", () => this.#remove());
  }

  /** Fetch the list and show it. */
  async refresh() {
    const people = await ask("/people").then((body) => body.people, () => null);
    if (!people) return;
    for (const id of this.#cards.keys()) if (!people.some((person) => person.id === id)) this.#cards.delete(id);
    arrange(byId("cards"), people.map((person) => this.#card(person)));
    byId("people-empty").hidden = people.length > 0;
    setText(byId("people-note"), people.length ? `${people.length} enrolled` : "");
    this.dispatchEvent(new CustomEvent("change", { detail: people }));
  }

  /**
   * Put the focus on a person's card.
   * @param {string} id
   */
  focus(id) {
    const card = this.#cards.get(id)?.element;
    card?.querySelector("button")?.focus();
    card?.scrollIntoView({ block: "nearest" });
  }

  /** @param {Person} person */
  #card(person) {
    const key = JSON.stringify(person);
    const old = this.#cards.get(person.id);
    if (old?.key === key) return old.element;
    const element = this.#build(person);
    if (old?.element.contains(document.activeElement)) queueMicrotask(() => this.focus(person.id));
    this.#cards.set(person.id, { key, element });
    return element;
  }

  /** @param {Person} person */
  #build(person) {
    const faces = person.photos.map(({ crop, size }, place) =>
      build("li", {}, build("img", { src: crop, alt: `${person.name}, photograph ${place + 1}`, title: `face of ${size.join(" × ")} pixels`, width: 56, height: 56, loading: "lazy" })));
    const add = build("button", { type: "button", textContent: "Add photographs", "aria-label": `Add photographs of ${person.name}` });
    add.addEventListener("click", () => this.dispatchEvent(new CustomEvent("add", { detail: person })));
    const remove = build("button", { type: "button", className: "quiet", textContent: "Delete", "aria-label": `Delete ${person.name}` });
    remove.addEventListener("click", () => this.#confirm(person));
    const head = build("div", {}, build("h3", { textContent: person.name, title: person.name }), build("p", { className: "note", textContent: count(person.photos.length, "photograph") }));
    return build("li", { className: "card", "data-person": person.id }, head, build("ul", { className: "faces" }, ...faces), build("p", { className: "actions" }, add, remove));
  }

  /** @param {Person} person */
  #confirm(person) {
    this.#leaving = person;
    byId("remove-title").textContent = `Delete ${person.name}?`;
    byId("remove-text").textContent = `${count(person.photos.length, "enrolled photograph")} will be removed, and this person is not recognised any more. This cannot be undone.`;
    byId("remove-error").textContent = "";
    this.#dialog.showModal();
    byId("remove-cancel").focus();
  }

  async #remove() {
    const person = this.#leaving;
    if (!person) return;
    const button = byId("remove-confirm");
    button.disabled = true;
    try {
      await ask(`/people/${encodeURIComponent(person.id)}`, { method: "DELETE", limit: 60 });
      this.#dialog.close();
      await this.refresh();
      toast(`${person.name} is deleted.`);
      byId("enrol-open").focus();
    } catch (error) {
      byId("remove-error").textContent = `Not deleted: ${error.message}.`;
    } finally {
      button.disabled = false;
    }
  }
}
