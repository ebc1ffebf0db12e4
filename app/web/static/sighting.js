/** One row of the list of who was seen. */

import { build, setText } from "./dom.js";
import { exact, likeness, moment, span } from "./format.js";
import { inPast, whyUnnamed } from "./reasons.js";

/**
 * @typedef {{id: string, stream: string, person: string|null, name: string|null, first: number, last: number,
 *   frames: number, score: number|null, confidence: number|null, unnamed: import("./reasons.js").Unnamed|null,
 *   changes: import("./reasons.js").Change[], open: boolean, crop: string|null, merged: string|null}} Sighting
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
  #before = build("span");
  #changed = build("time");
  #change = build("p", { className: "change", hidden: true }, this.#before, this.#changed);
  #reason = build("p");
  #why = build("details", { className: "why", hidden: true }, build("summary", {}, "Why no name?"), this.#reason);
  #source = "";

  /** @param {Sighting} sighting */
  constructor(sighting) {
    this.#face.addEventListener("load", () => (this.#face.hidden = false));
    this.#face.addEventListener("error", () => (this.#face.hidden = true));
    const times = build("p", { className: "when" }, this.#from, "–", this.#until, this.#length);
    const who = build("p", { className: "who" }, build("span", {}, this.#name, this.#where), this.#score);
    const texts = build("div", {}, who, times, this.#change, this.#why);
    this.element = build("li", { className: "sighting", "data-id": sighting.id }, build("span", { className: "face" }, this.#face), texts);
    this.update(sighting);
  }

  /** @param {Sighting} sighting */
  update(sighting) {
    const wasOpen = this.sighting?.open;
    this.sighting = sighting;
    const { name, stream, first, last, open } = sighting;
    this.element.classList.toggle("open", open);
    this.element.classList.toggle("unknown", !name);
    setText(this.#name, name ?? "Unknown");
    setText(this.#where, stream);
    stamp(this.#from, first, moment(first));
    stamp(this.#until, last, open ? "now" : moment(last).split(", ").pop() ?? "");
    setText(this.#length, span(Math.max(1, Math.round((last - first) / 1000))));
    const { text, title } = likeness(sighting);
    setText(this.#score, text);
    this.#score.title = title;
    this.#explain(sighting);
    this.#crop(wasOpen);
  }

  /** What is open stays open: the elements stay, and only their text changes. */
  #explain({ name, unnamed, changes }) {
    this.#why.hidden = Boolean(name) || !unnamed;
    if (unnamed) setText(this.#reason, whyUnnamed(unnamed));
    const change = changes.at(-1);
    this.#change.hidden = !change;
    if (!change) return;
    const { text, until } = inPast(change);
    setText(this.#before, text);
    this.#changed.hidden = !until;
    stamp(this.#changed, change.captured, moment(change.captured));
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
