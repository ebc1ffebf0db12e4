/** One row of the list of who was seen. */

import { build, setText } from "./dom.js";
import { exact, moment, span } from "./format.js";

/**
 * @typedef {{id: string, stream: string, person: string|null, name: string|null, first: number, last: number,
 *   frames: number, score: number|null, open: boolean, crop: string|null, merged: string|null}} Sighting
 */

/** A list item that follows its sighting. */
export class SightingRow {
  #face = build("img", { alt: "", width: 56, height: 56, loading: "lazy", decoding: "async" });
  #name = build("strong");
  #where = build("span", { className: "where" });
  #from = build("time");
  #until = build("time");
  #length = build("span");
  #score = build("span", { className: "score" });
  #source = "";

  /** @param {Sighting} sighting */
  constructor(sighting) {
    this.#face.addEventListener("load", () => (this.#face.hidden = false));
    this.#face.addEventListener("error", () => (this.#face.hidden = true));
    const times = build("p", { className: "when" }, this.#from, "–", this.#until, this.#length);
    const first = build("p", {}, this.#name, this.#where);
    this.element = build("li", { className: "sighting", "data-id": sighting.id }, build("span", { className: "face" }, this.#face), build("div", {}, first, times), this.#score);
    this.update(sighting);
  }

  /** @param {Sighting} sighting */
  update(sighting) {
    const wasOpen = this.sighting?.open;
    this.sighting = sighting;
    const { name, stream, first, last, open, score } = sighting;
    this.element.classList.toggle("open", open);
    this.element.classList.toggle("unknown", !name);
    setText(this.#name, name ?? "Unknown");
    setText(this.#where, stream);
    stamp(this.#from, first, moment(first));
    stamp(this.#until, last, open ? "now" : moment(last).split(", ").pop() ?? "");
    setText(this.#length, span(Math.max(1, Math.round((last - first) / 1000))));
    setText(this.#score, score === null ? "" : score.toFixed(2));
    this.#score.title = score === null ? "" : "best similarity to an enrolled photograph (cosine)";
    this.#crop(wasOpen);
  }

  /** A better crop may have come under the same address while it was open: fetch the final one. */
  #crop(wasOpen) {
    const { crop, open } = this.sighting;
    if (!crop) return;
    const source = wasOpen && !open ? `${crop}?final` : this.#source || crop;
    if (source === this.#source) return;
    this.#source = source;
    this.#face.src = source;
  }
}

function stamp(element, milliseconds, text) {
  setText(element, text);
  element.dateTime = new Date(milliseconds).toISOString();
  element.title = exact(milliseconds);
}
