/** The enlarged stream: a dialog that Esc closes. */

import { inWords } from "./announce.js";
import { byId } from "./dom.js";
import { StreamView } from "./tile.js";

/** One enlarged stream at a time; events: `change` when it opens or closes. */
export class Focus extends EventTarget {
  /** @type {string | null} */
  name = null;
  #dialog = byId("focus");
  #view = new StreamView({
    canvas: byId("focus-canvas"),
    veil: byId("focus-veil"),
    state: byId("focus-state"),
    facts: byId("focus-facts"),
    names: byId("focus-names"),
  });

  constructor() {
    super();
    byId("focus-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#dialog.addEventListener("close", () => {
      this.name = null;
      this.dispatchEvent(new Event("change"));
    });
  }

  /**
   * Enlarge a stream, starting from the picture that its tile shows.
   * @param {import("./tile.js").Tile} tile
   */
  open(tile) {
    const { stream, screen } = tile;
    if (!stream) return;
    this.name = stream.name;
    this.#view.screen.start(screen);
    byId("focus-title").textContent = stream.name;
    byId("focus-still").href = `/streams/${encodeURIComponent(stream.name)}.jpg`;
    byId("focus-mjpeg").href = stream.mjpeg;
    this.#view.update(stream);
    this.#dialog.showModal();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {import("./tile.js").Stream} stream */
  update(stream) {
    if (stream.name === this.name) this.#view.update(stream);
  }

  /** @param {import("./live.js").Picture} picture */
  picture(picture) {
    if (picture.header.stream !== this.name) return;
    this.#view.picture(picture);
    byId("focus-canvas").setAttribute("aria-label", `Live picture of ${this.name}: ${inWords(picture.header.faces)}`);
  }

  tick() {
    if (this.name) this.#view.tick();
  }
}
