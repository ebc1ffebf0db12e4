/** Whether the worker answers: one poll of its streams, the banner, and the word when it is back. */

import { ApiError, ask, backoff } from "./api.js";
import { byId, setText } from "./dom.js";

const POLL = 2000;
const TEXTS = {
  ready: ["Connected", ""],
  starting: ["Starting", "The worker is still starting. This page comes alive by itself when it is ready."],
  gone: ["Not answering", "The worker is not answering; trying again…"],
};

/** Polls `/readyz` until the worker is ready, then `/streams`; events: `ready`, `gone`, `streams`. */
export class Worker extends EventTarget {
  #tries = 0;
  #timer = 0;
  #asking = false;
  /** @type {"connecting" | "starting" | "ready" | "gone"} */
  state = "connecting";

  start() {
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
    this.#poll();
  }

  /** Ask now instead of when it is time; for whoever noticed that something broke. */
  hurry() {
    if (this.#asking) return;
    clearTimeout(this.#timer);
    this.#poll();
  }

  async #poll() {
    this.#asking = true;
    try {
      if (this.state !== "ready") await ask("/readyz", { limit: 5 });
      const { streams } = await ask("/streams", { limit: 5 });
      this.#tries = 0;
      this.#become("ready");
      this.dispatchEvent(new CustomEvent("streams", { detail: streams }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#tries += 1;
      this.#become(error.reason === "not-ready" ? "starting" : "gone");
    } finally {
      this.#asking = false;
      this.#timer = setTimeout(() => this.#poll(), this.#tries ? backoff(this.#tries, 5000) : POLL);
    }
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    const [word, text] = TEXTS[state];
    byId("worker").dataset.state = state;
    document.body.dataset.worker = state;
    setText(byId("worker-text"), word);
    const banner = byId("banner");
    banner.hidden = !text;
    setText(banner, text);
    this.dispatchEvent(new Event(state === "ready" ? "ready" : "gone"));
  }
}
