/** Tells screen readers who is in the pictures: politely, and no more often than one can listen. */

import { byId, setText } from "./dom.js";
import { listing } from "./format.js";

const EVERY = 5000;

/** @type {Map<string, string>} stream -> who is on it now */
const present = new Map();
/** @type {Map<string, string>} stream -> who was on it when that was last said */
const said = new Map();
let timer = 0;
let last = -Infinity;

/**
 * Put into words who a picture shows.
 * @param {import("./live.js").Face[]} faces
 */
export function inWords(faces) {
  const names = [...new Set(faces.flatMap((face) => face.name ?? []))].sort();
  const strangers = faces.length - faces.filter((face) => face.name).length;
  if (strangers) names.push(strangers === 1 ? "somebody unknown" : `${strangers} unknown`);
  return names.length ? listing(names) : "nobody";
}

/**
 * Note who is on a stream; it is said when it is time and still true.
 * @param {string} stream
 * @param {import("./live.js").Face[]} faces
 */
export function note(stream, faces) {
  present.set(stream, inWords(faces));
  if (!timer) timer = setTimeout(speak, Math.max(1000, last + EVERY - performance.now()));
}

/** @param {string} stream that is not on screen any more */
export function forget(stream) {
  present.delete(stream);
  said.delete(stream);
}

function speak() {
  timer = 0;
  const news = [...present].filter(([stream, words]) => said.get(stream) !== words);
  if (!news.length) return;
  for (const [stream, words] of news) said.set(stream, words);
  last = performance.now();
  setText(byId("announcer"), news.map(([stream, words]) => `${stream}: ${words}.`).join(" "));
}
