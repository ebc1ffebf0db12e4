/** Why somebody has no name, and what a name was before, in words for people. */

/** @typedef {{gate: string, lacking: number}} Unnamed */
/** @typedef {{captured: number, before_name: string|null, reason: string}} Change */

const POOR = "no picture of this quality is similar enough for a name";

/** What stopped a name, and what is lacking; null where that says nothing. */
const GATES = new Map([
  ["small", [`The best face is too small: ${POOR}`, "quality lacks"]],
  ["blurred", [`The best face is out of focus or too dark: ${POOR}`, "quality lacks"]],
  ["turned", [`The best face is turned away too far: ${POOR}`, "quality lacks"]],
  ["unlike", ["Nobody enrolled is similar enough", "the nearest lacks a similarity of"]],
  ["ambiguous", ["Two people who are enrolled are too near each other to say which it is", "the lead lacks"]],
  ["beside", ["Somebody else on the same frame is more like the nearest person", "similarity lacks"]],
  ["nobody", ["Nobody was enrolled yet", null]],
]);

/**
 * Say in one sentence why there is no name; a later worker may have reasons that this page does not know.
 * @param {Unnamed} unnamed
 */
export function whyUnnamed({ gate, lacking }) {
  const [text, lacks] = GATES.get(gate) ?? ["The worker has a reason that this page has no words for", null];
  return lacks && lacking >= 0.005 ? `${text} (${lacks} ${lacking.toFixed(2)}).` : `${text}.`;
}

/**
 * Say what a name was before it changed; where `until` is true, the time of the change is to follow.
 * @param {Change} change
 * @returns {{text: string, until: boolean}}
 */
export function inPast({ before_name: before, reason }) {
  if (reason === "removed") return { text: `was ${before ?? "somebody"}, who is not enrolled any more`, until: false };
  return { text: `${before === null ? "unknown" : `taken for ${before}`} until `, until: true };
}
