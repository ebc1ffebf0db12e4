/** Sightings as they happen, from the worker's event stream, without gaps. */

import { backoff } from "./api.js";

/**
 * Stays connected and resumes where it was; events: `sighting` (as `GET /sightings` gives them), and `open`: what
 * happens from now on is told of.
 */
export class Events extends EventTarget {
  /** @type {EventSource | null} */
  #source = null;
  #lastId = "";
  #tries = 0;
  #timer = 0;

  /** Connect, or connect again where a connection may be dead without having said so. */
  open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const query = this.#lastId ? `?last-event-id=${encodeURIComponent(this.#lastId)}` : "";
    const source = new EventSource(`/events${query}`);
    this.#source = source;
    source.addEventListener("sighting", (event) => this.#take(event));
    source.onopen = () => {
      this.#tries = 0;
      this.dispatchEvent(new Event("open"));
    };
    source.onerror = () => this.#broken(source);
  }

  #take({ lastEventId, data }) {
    this.#lastId = lastEventId;
    this.dispatchEvent(new CustomEvent("sighting", { detail: JSON.parse(data) }));
  }

  #broken(source) {
    // The browser connects again by itself, unless the worker answered with an error.
    if (source.readyState !== EventSource.CLOSED) return;
    this.#timer = setTimeout(() => this.open(), backoff(this.#tries++));
  }
}
