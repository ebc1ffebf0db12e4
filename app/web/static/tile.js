/** One stream: its picture, name, state and figures; the same in the grid and enlarged. */

import { workerTime } from "./api.js";
import { build, setText } from "./dom.js";
import { count, span } from "./format.js";
import { Names } from "./names.js";
import { Screen } from "./screen.js";

/**
 * @typedef {{name: string, live: boolean, width: number, height: number, fps: number, age: number,
 *   faces: number, frames: number, waiting: number, skipped: Record<string, number>, updated: number,
 *   captured: number, arrived: number, worker: string, state: "live"|"overloaded"|"waiting"|"silent",
 *   mjpeg: string}} Stream
 * @typedef {{canvas: HTMLCanvasElement, veil: HTMLElement, state: HTMLElement, facts: HTMLElement, names: HTMLUListElement}} Parts
 */

/** Milliseconds after which a picture that stays has to be explained. */
const STILL = 5000;

/** Fills the parts of a stream's view from `GET /streams` and from the pictures of `/live`. */
export class StreamView {
  /** @type {Stream | null} */
  stream = null;

  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.screen = new Screen(parts.canvas);
    this.names = new Names(parts.names);
  }

  /** @param {Stream} stream */
  update(stream) {
    this.stream = stream;
    const { state, facts } = this.parts;
    state.dataset.state = stream.state;
    setText(state, wordOf(stream));
    setText(facts, factsOf(stream));
    facts.title = detailsOf(stream);
    this.tick();
  }

  /** @param {import("./live.js").Picture} picture */
  picture({ header, jpeg }) {
    this.screen.show(jpeg);
    this.names.update(header.faces);
  }

  /** Say over the picture why it does not move. */
  tick() {
    this.names.expire();
    const text = this.#trouble();
    this.parts.veil.hidden = !text;
    setText(this.parts.veil, text);
  }

  #trouble() {
    if (!this.stream) return "";
    const { worker } = document.body.dataset;
    if (worker && worker !== "ready") return worker === "gone" ? "no answer from the worker" : "the worker is starting…";
    switch (this.stream.state) {
      case "silent":
        return `silent for ${since(Math.max(this.stream.updated, this.stream.arrived))}`;
      case "waiting":
        return `waiting, ${count(this.stream.waiting, "frame")}`;
      case "overloaded":
        return this.#moves() ? "" : `overloaded, ${skippedOf(this.stream)}`;
      default:
        return this.screen.drawn ? "" : "waiting for a picture…";
    }
  }

  #moves() {
    return this.screen.drawn > 0 && performance.now() - this.screen.drawn < STILL;
  }
}

/** A stream in the grid. */
export class Tile extends StreamView {
  /**
   * @param {string} name
   * @param {(name: string) => void} enlarge
   */
  constructor(name, enlarge) {
    const canvas = build("canvas", { width: 640, height: 360 });
    const veil = build("span", { className: "veil", hidden: true });
    const state = build("p", { className: "chip" });
    const facts = build("p", { className: "facts" });
    const names = build("ul", { className: "names", "aria-label": `In the picture of ${name}` });
    super({ canvas, veil, state, facts, names });
    const button = build("button", { className: "picture", type: "button", "aria-label": `Enlarge ${name}` }, canvas, veil);
    button.addEventListener("click", () => enlarge(name));
    const head = build("div", { className: "head" }, build("h2", { textContent: name, title: name }), state, facts);
    this.element = build("li", { className: "tile", "data-stream": name }, button, head, names);
  }
}

/** @param {Stream} stream */
function wordOf({ state, live }) {
  if (state === "live") return live ? "Live" : "Recording";
  return { overloaded: "Overloaded", waiting: "Waiting", silent: "Silent" }[state];
}

/** @param {Stream} stream */
function factsOf(stream) {
  const fps = `${stream.fps.toFixed(1)} fps`;
  switch (stream.state) {
    case "silent":
      return "";
    case "waiting":
      return noneOf(stream);
    case "overloaded":
      return stream.fps ? [skippedOf(stream), fps].join(" · ") : noneOf(stream);
    default:
      return [fps, `${span(stream.age)} old`, count(stream.faces, "face")].join(" · ");
  }
}

/** @param {Stream} stream */
function noneOf({ frames, updated }) {
  return frames ? `none recognised for ${since(updated)}` : "none recognised yet";
}

/** @param {number} milliseconds since the epoch */
function since(milliseconds) {
  return span(Math.max(1, Math.round((workerTime() - milliseconds) / 1000)));
}

/** @param {Stream} stream */
function skippedOf({ skipped }) {
  return `${count(Object.values(skipped).reduce((sum, number) => sum + number, 0), "frame")} skipped`;
}

/** @param {Stream} stream */
function detailsOf(stream) {
  const reasons = Object.entries(stream.skipped).map(([reason, number]) => `${number} ${reason}`);
  return [`${stream.width} × ${stream.height}`, `${stream.frames} recognised`, ...(reasons.length ? [`skipped: ${reasons.join(", ")}`] : []), stream.worker].join(" · ");
}
