/** The enrolment form: a new person, or more photographs of one. */

import { ApiError, ask } from "./api.js";
import { byId, toast } from "./dom.js";
import { count } from "./format.js";
import { Tray } from "./tray.js";

/** @type {Record<string, string>} */
const REASONS = {
  "no-answer": "The worker is not answering. Nothing was sent; try again in a moment.",
  "too-large": "These photographs are too large to send at once. Take some away.",
  "too-slow": "These photographs took too long to arrive. Send fewer of them at once.",
  busy: "Others are enrolling people right now. Try again in a moment.",
  "enrolment-not-confirmed": "The worker took it, but has not confirmed it yet. Look at the list in a moment before trying again.",
  "no-such-person": "This person is not enrolled any more.",
};

/** A dialog with name and photographs; events: `enrolled` with `{id, name}`. */
export class Enrol extends EventTarget {
  #dialog = byId("enrol");
  #name = byId("enrol-name");
  #error = byId("enrol-error");
  #tray = new Tray();
  /** @type {{id: string, name: string} | null} */
  #person = null;
  #sending = false;

  constructor() {
    super();
    byId("enrol-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    for (const id of ["enrol-close", "enrol-cancel"]) byId(id).addEventListener("click", () => this.#sending || this.#dialog.close());
    this.#dialog.addEventListener("cancel", (event) => this.#sending && event.preventDefault());
    this.#dialog.addEventListener("close", () => this.#tray.clear());
    this.#tray.addEventListener("change", () => this.#complain(""));
    // A name typed, or a face chosen.
    for (const kind of ["input", "change"]) byId("enrol-form").addEventListener(kind, () => this.#complain(""));
  }

  /**
   * Open the form.
   * @param {{id: string, name: string} | null} [person] who gets more photographs; nobody is a new person
   */
  open(person = null) {
    this.#person = person;
    byId("enrol-title").textContent = person ? `Add photographs of ${person.name}` : "Enrol someone";
    byId("enrol-name-field").hidden = Boolean(person);
    this.#name.value = "";
    this.#complain("");
    this.#busy(false);
    this.#dialog.showModal();
    (person ? byId("photos") : this.#name).focus();
  }

  async #submit() {
    if (this.#sending || !this.#complete()) return;
    this.#busy(true);
    this.#complain("");
    try {
      const { id, name, photos } = await this.#send();
      this.#dialog.close();
      toast(this.#person ? `${count(photos.length, "photograph")} added to ${name}.` : `${name} is enrolled with ${count(photos.length, "photograph")}.`);
      this.dispatchEvent(new CustomEvent("enrolled", { detail: { id, name } }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refused(error);
    } finally {
      this.#busy(false);
    }
  }

  #complete() {
    if (!this.#person && !this.#name.value.trim()) return this.#complain("Enter a name.", this.#name);
    if (!this.#tray.items.length) return this.#complain("Choose at least one photograph.", byId("photos"));
    const waiting = this.#tray.items.filter((item) => item.state === "refused");
    if (!waiting.length) return true;
    return this.#complain("Choose the face, or take the refused photographs away.", waiting[0]);
  }

  #send() {
    const form = new FormData();
    if (this.#person) form.set("id", this.#person.id);
    else form.set("name", this.#name.value.trim());
    for (const { file, picked } of this.#tray.items) {
      form.append("photo", file, file.name);
      // An empty one is the only face of its photograph.
      form.append("face", picked === null ? "" : String(picked));
    }
    return ask("/people", { method: "POST", body: form, limit: 180 });
  }

  #refused(error) {
    if (error.reason !== "photos-refused") return this.#complain(REASONS[error.reason] ?? `It was refused: ${error.message}.`);
    const { items } = this.#tray;
    error.photos.forEach((verdict, place) => items[place]?.judge(verdict));
    const bad = items.filter((item) => item.state === "refused");
    return this.#complain(`Nothing is enrolled yet: ${bad.length} of ${count(items.length, "photograph")} ${bad.length === 1 ? "needs" : "need"} a look.`, bad[0]);
  }

  #complain(text, target = null) {
    this.#error.textContent = text;
    this.#name.setAttribute("aria-invalid", String(target === this.#name));
    target?.focus();
    return false;
  }

  #busy(sending) {
    this.#sending = sending;
    byId("enrol-form").setAttribute("aria-busy", String(sending));
    for (const id of ["enrol-send", "enrol-cancel"]) byId(id).disabled = sending;
    byId("enrol-send").textContent = sending ? "Sending…" : this.#person ? "Add" : "Enrol";
  }
}
