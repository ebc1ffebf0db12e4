/** The one WebSocket that carries the pictures of every stream on screen. */

import { backoff } from "./api.js";

/**
 * @typedef {{box: number[], score: number, person: string|null, name: string|null, similarity: number|null}} Face
 * @typedef {{stream: string, captured: number, offset: number, width: number, height: number, faces: Face[]}} Header
 * @typedef {{header: Header, jpeg: Blob}} Picture
 */

/** The most streams that the worker sends over one connection. */
const MOST = 64;

const text = new TextDecoder();

/**
 * Take a binary message apart: length of the header, the header, the JPEG.
 * @param {ArrayBuffer} message
 * @returns {Picture}
 */
export function parse(message) {
  const length = new DataView(message).getUint16(0);
  const header = JSON.parse(text.decode(new Uint8Array(message, 2, length)));
  return { header, jpeg: new Blob([new Uint8Array(message, 2 + length)], { type: "image/jpeg" }) };
}

/** Keeps the connection while anything is watched; events: `picture` (a `Picture`), `lost`. */
export class Live extends EventTarget {
  /** @type {WebSocket | null} */
  #socket = null;
  #tries = 0;
  #timer = 0;
  #wish = JSON.stringify({ watch: [] });

  /**
   * Say which streams are wanted.
   * @param {string[]} streams
   */
  watch(streams) {
    const wish = JSON.stringify({ watch: [...streams].sort().slice(0, MOST) });
    if (wish === this.#wish) return;
    this.#wish = wish;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(wish);
    else if (!this.#socket && streams.length) this.connect();
  }

  /** Connect now, if it is not connected. */
  connect() {
    clearTimeout(this.#timer);
    if (this.#socket) return;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/live`);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(this.#wish);
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => this.#closed();
  }

  /** Drop a connection that may be dead without having said so, and connect again. */
  reset() {
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = null;
    }
    this.#tries = 0;
    this.connect();
  }

  #take(data) {
    if (typeof data === "string") return this.#refused(JSON.parse(data).error);
    this.#tries = 0;
    this.dispatchEvent(new CustomEvent("picture", { detail: parse(data) }));
  }

  /** A worker that has just started learns of its streams one by one: ask again. */
  #refused(reason) {
    if (reason !== "no-such-stream") return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket?.readyState === WebSocket.OPEN && this.#socket.send(this.#wish), 1000);
  }

  #closed() {
    this.#socket = null;
    this.dispatchEvent(new Event("lost"));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.connect(), backoff(this.#tries++));
  }
}
