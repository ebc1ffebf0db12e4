/** A photograph with the faces that were found in it, to choose one by click or keyboard. */

import { build } from "./dom.js";

/** @typedef {{index: number, box: number[], size: [number, number], score: number}} FoundFace */

let groups = 0;

/**
 * Build the picture with a radio button on each face.
 * @param {string} url of the photograph
 * @param {{faces: FoundFace[], width: number, height: number}} found boxes in pixels of width x height
 * @param {(index: number) => void} choose
 * @returns {HTMLElement}
 */
export function facePicker(url, { faces, width, height }, choose) {
  const group = `face-${++groups}`;
  const picture = build("img", { src: url, alt: "" });
  const boxes = faces.map((face, place) => faceButton(group, face, place, [width, height], choose));
  const legend = build("legend", { className: "visually-hidden", textContent: "Which face is it? From left to right as numbered." });
  return build("fieldset", { className: "picker" }, legend, build("div", {}, picture, ...boxes));
}

function faceButton(group, { index, box, size }, place, [width, height], choose) {
  const radio = build("input", { type: "radio", name: group, value: String(index), className: "visually-hidden" });
  radio.addEventListener("change", () => choose(index));
  const number = String(place + 1);
  const text = build("span", { className: "visually-hidden", textContent: `Face ${number}, ${size.join(" × ")} pixels` });
  const label = build("label", { title: `Face ${number}` }, radio, build("b", { textContent: number, "aria-hidden": "true" }), text);
  const [left, top, right, bottom] = box;
  label.style.left = `${(100 * left) / width}%`;
  label.style.top = `${(100 * top) / height}%`;
  label.style.width = `${(100 * (right - left)) / width}%`;
  label.style.height = `${(100 * (bottom - top)) / height}%`;
  return label;
}
