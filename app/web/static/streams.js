/** The streams side by side: a tile for each, and pictures only for those that can be seen. */

import { forget, note } from "./announce.js";
import { arrange, byId, setText } from "./dom.js";
import { count } from "./format.js";
import { Tile } from "./tile.js";


/** Joins the list of streams, the live pictures, the grid and the enlarged view. */
export class Streams {
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {Set<Tile>} */
  #visible = new Set();
  #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "100px" });

  /**
   * @param {import("./live.js").Live} live
   * @param {import("./focus.js").Focus} focus
   */
  constructor(live, focus) {
    this.live = live;
    this.focus = focus;
    live.addEventListener("picture", (event) => this.#picture(/** @type {CustomEvent} */ (event).detail));
    focus.addEventListener("change", () => this.watch());
    document.addEventListener("visibilitychange", () => this.watch());
    setInterval(() => this.tick(), 1000);
  }

  /** @param {import("./tile.js").Stream[]} list */
  update(list) {
    const names = new Set(list.map((stream) => stream.name));
    for (const name of this.#tiles.keys()) if (!names.has(name)) this.#remove(name);
    for (const stream of list) {
      this.#tile(stream.name).update(stream);
      this.focus.update(stream);
    }
    const grid = byId("grid");
    grid.dataset.count = String(list.length);
    arrange(grid, list.map((stream) => this.#tile(stream.name).element));
    byId("streams-empty").hidden = list.length > 0;
    setText(byId("streams-note"), summary(list));
    this.watch();
  }

  /** Tell the worker which pictures are needed now. */
  watch() {
    if (document.hidden) return this.live.watch([]);
    if (this.focus.name) return this.live.watch([this.focus.name]);
    const tiles = [...this.#visible].filter((tile) => tile.element.isConnected);
    return this.live.watch(tiles.flatMap((tile) => tile.stream?.name ?? []));
  }

  /** Let ages grow and names go where nothing arrives. */
  tick() {
    for (const tile of this.#tiles.values()) tile.tick();
    this.focus.tick();
  }

  #tile(name) {
    let tile = this.#tiles.get(name);
    if (!tile) {
      tile = new Tile(name, () => this.focus.open(/** @type {Tile} */ (tile)));
      this.#tiles.set(name, tile);
      this.#observer.observe(tile.element);
    }
    return tile;
  }

  #remove(name) {
    const tile = /** @type {Tile} */ (this.#tiles.get(name));
    this.#observer.unobserve(tile.element);
    this.#visible.delete(tile);
    this.#tiles.delete(name);
    forget(name);
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const tile = this.#tiles.get(target.dataset.stream);
      if (!tile) continue;
      if (isIntersecting) this.#visible.add(tile);
      else this.#visible.delete(tile);
    }
    this.watch();
  }

  #picture(picture) {
    if (document.hidden) return;
    const { stream, faces } = picture.header;
    note(stream, faces);
    this.#tiles.get(stream)?.picture(picture);
    this.focus.picture(picture);
  }
}

/** @param {import("./tile.js").Stream[]} list */
function summary(list) {
  if (!list.length) return "";
  const number = (state) => list.filter((stream) => stream.state === state).length;
  const others = ["overloaded", "waiting", "silent"].filter(number).map((state) => `${number(state)} ${state}`);
  const fps = list.reduce((sum, stream) => sum + stream.fps, 0);
  return [`${count(number("live"), "stream")} live`, ...others, `${fps.toFixed(0)} frames/s`].join(" · ");
}
