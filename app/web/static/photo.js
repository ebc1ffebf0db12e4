/** One chosen photograph: its thumbnail, what the worker said about it, and the face to take. */

import { build, setText } from "./dom.js";
import { facePicker } from "./faces.js";

/** @typedef {{ok: boolean, reason?: string, detail?: string, face?: any, faces?: any[], width?: number, height?: number}} Verdict */

/** @type {Record<string, (verdict: Verdict) => string>} */
const REASONS = {
  "no-face": () => "No face was found. Use one where the face is clear and seen from the front.",
  "several-faces": ({ faces }) => `There are ${faces?.length ?? "several"} faces. Which one is it?`,
  "face-too-small": ({ detail }) => `The face is too small: come closer, or use a larger picture. (${detail})`,
  "face-unsure": () => "This is hardly seen as a face. Use one where the face is clear and seen from the front.",
  "no-landmarks": () => "Eyes, nose and mouth were not found. Use one where the face is clear and seen from the front.",
  "not-an-image": () => "This file is not a JPEG, PNG or WebP picture.",
  "too-large": ({ detail }) => `This picture is too large. (${detail})`,
  "bad-face": () => "The chosen face could not be taken. Take this photograph away, or add it again and choose anew.",
};

/** A list item for a file, its blob address, and the verdict on it. */
export class PhotoItem {
  /** The face that the user chose, counted as the worker counts. @type {number | null} */
  picked = null;
  /** @type {"new" | "good" | "refused"} */
  state = "new";
  #status = build("p", { className: "status", role: "status" });

  /**
   * @param {File} file
   * @param {(item: PhotoItem) => void} remove
   */
  constructor(file, remove) {
    this.file = file;
    this.url = URL.createObjectURL(file);
    const thumb = build("img", { src: this.url, alt: "", width: 64, height: 64 });
    thumb.addEventListener("error", () => (thumb.hidden = true));
    this.button = build("button", { type: "button", className: "icon", textContent: "✕", "aria-label": `Take away ${file.name}` });
    this.button.addEventListener("click", () => remove(this));
    const text = build("div", {}, build("p", { className: "file", textContent: file.name }), this.#status);
    this.element = build("li", { className: "photo" }, build("span", { className: "thumb" }, thumb), text, this.button);
    this.#show("new", "");
  }

  /** @param {Verdict} verdict */
  judge(verdict) {
    if (verdict.ok) {
      if (this.picked === null) this.#show("good", "One good face.");
      return;
    }
    this.picked = null;
    this.#show("refused", REASONS[verdict.reason ?? ""]?.(verdict) ?? verdict.detail ?? "It was refused.");
    this.element.querySelector(".picker")?.remove();
    if (verdict.reason === "several-faces" && verdict.faces?.length) this.#offer(verdict);
  }

  /** Put the focus where something is to be decided. */
  focus() {
    (this.element.querySelector("input[type=radio]") ?? this.button).focus({ preventScroll: true });
    // A picture has no height before it is decoded.
    const shown = this.element.querySelector(".picker img")?.decode().catch(() => null);
    Promise.resolve(shown).then(() => this.element.scrollIntoView({ block: "nearest" }));
  }

  /** Give the memory of the picture back. */
  close() {
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }

  #offer({ faces = [], width = 0, height = 0 }) {
    const choose = (index) => {
      this.picked = index;
      const place = faces.findIndex((face) => face.index === index) + 1;
      this.#show("good", `Face ${place} of ${faces.length} is chosen.`);
    };
    this.element.append(facePicker(this.url, { faces, width, height }, choose));
  }

  #show(state, text) {
    this.state = state;
    this.element.dataset.state = state;
    setText(this.#status, text);
  }
}
