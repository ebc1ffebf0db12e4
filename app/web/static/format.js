/** Times, ages and likeness as text for people. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const figures = new Intl.NumberFormat("en");
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/**
 * Write a time of today as a time, and any other with its day.
 * @param {number} milliseconds since the epoch
 */
export function moment(milliseconds) {
  const date = new Date(milliseconds);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}

/** @param {number} milliseconds since the epoch */
export function exact(milliseconds) {
  return full.format(milliseconds);
}

/**
 * Write a length of time the way one says it.
 * @param {number} seconds
 */
export function span(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 10 && seconds % 1) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/**
 * Write a number with its noun.
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export function count(number, one, many = `${one}s`) {
  return `${figures.format(number)} ${number === 1 ? one : many}`;
}

/** @param {string[]} words */
export function listing(words) {
  return new Intl.ListFormat("en", { style: "long", type: "conjunction" }).format(words);
}

/**
 * Say how sure a name is or, where nobody measured that, how similar somebody is to the person.
 * @param {{score: number|null, confidence: number|null}} sighting
 */
export function likeness({ score, confidence }) {
  if (score === null) return { text: "", title: "" };
  if (confidence === null) return { text: score.toFixed(2), title: "best similarity to an enrolled photograph (cosine)" };
  // A share that was measured never makes certain.
  const right = Math.round(confidence * 100);
  const [text, many] = right > 99 ? [">99 % sure", "more than 99"] : [`${right} % sure`, right];
  return { text, title: `of 100 names that were given at such a similarity (${score.toFixed(2)}), ${many} were right` };
}
