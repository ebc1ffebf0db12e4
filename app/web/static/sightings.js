/** Who was seen: newest first, filtered, kept up to date, older ones on demand. */

import { ask } from "./api.js";
import { arrange, byId, setText } from "./dom.js";
import { count } from "./format.js";
import { SightingRow } from "./sighting.js";

const PAGE = 40;
/** The most that the worker gives at once. */
const MOST = 1000;

/** @typedef {import("./sighting.js").Sighting} Sighting */

/** Joins `GET /sightings`, the events and the two filters. */
export class Sightings {
  /** @type {Map<string, SightingRow>} */
  #rows = new Map();
  /** Ids of those that are part of another: an answer that was on its way may still tell of them as they were. */
  #merged = new Set();
  #load = 0;
  #frame = 0;
  #loaded = false;
  /** How far back the list is complete: the last frame of the oldest sighting that was fetched. */
  #reach = Infinity;
  #person = byId("filter-person");
  #stream = byId("filter-stream");

  /** @param {import("./events.js").Events} events */
  constructor(events) {
    events.addEventListener("sighting", (event) => {
      this.#take(/** @type {CustomEvent} */ (event).detail);
      this.#frame ||= requestAnimationFrame(() => this.#render());
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("filters").addEventListener("change", () => this.restart());
    byId("more").addEventListener("click", () => this.#older());
  }

  /** Forget what is shown and begin again, with the filters as they are now. */
  restart() {
    this.#rows.clear();
    this.#reach = Infinity;
    this.#loaded = false;
    return this.refresh();
  }

  /** Fetch the newest; what is shown already stays. */
  async refresh() {
    const load = ++this.#load;
    const page = await this.#fetch({ limit: String(PAGE) });
    if (load !== this.#load || !page) return;
    this.#loaded = true;
    this.#extend(page, PAGE);
  }

  /** @param {{id: string, name: string}[]} people */
  offerPeople(people) {
    const fixed = [["", "Everybody"], ["unknown", "Unknown"]];
    offer(this.#person, [...fixed, ...people.map(({ id, name }) => [id, name])]);
  }

  /** @param {{name: string}[]} streams */
  offerStreams(streams) {
    offer(this.#stream, [["", "All streams"], ...streams.map(({ name }) => [name, name])]);
  }

  /** The worker orders by the last frame, and takes `to` for the first: what overlaps comes twice. */
  async #older() {
    const load = ++this.#load;
    const button = byId("more");
    button.disabled = true;
    const twice = [...this.#rows.values()].filter(({ sighting }) => sighting.first <= this.#reach).length;
    const limit = Math.min(MOST, PAGE + twice);
    const page = await this.#fetch({ to: String(this.#reach), limit: String(limit) });
    button.disabled = false;
    if (load === this.#load && page) this.#extend(page, limit);
  }

  #extend(page, limit) {
    this.#reach = page.length < limit ? -Infinity : Math.min(this.#reach, ...page.map(({ last }) => last));
    for (const sighting of page) this.#take(sighting);
    this.#render();
  }

  async #fetch(more) {
    const query = new URLSearchParams(more);
    if (this.#person.value) query.set("person", this.#person.value);
    if (this.#stream.value) query.set("stream", this.#stream.value);
    // While the worker is gone the banner says so, and this is asked again when it is back.
    return ask(`/sightings?${query}`).then((body) => body.sightings, () => null);
  }

  /** @param {Sighting} sighting */
  #take(sighting) {
    if (sighting.merged) this.#merged.add(sighting.id);
    const row = this.#rows.get(sighting.id);
    if (!this.#wanted(sighting)) this.#rows.delete(sighting.id);
    else if (!row) this.#add(sighting);
    else if (sighting.last >= row.sighting.last) row.update(sighting);
  }

  /** One from before what is shown would leave a gap; it comes with the older ones. */
  #add(sighting) {
    if (this.#reach < Infinity && sighting.last < this.#reach) return;
    this.#rows.set(sighting.id, new SightingRow(sighting));
  }

  /** A page that stays open for days keeps what it would fetch at most. */
  #shorten(rows) {
    for (const { sighting } of rows.splice(MOST)) {
      this.#rows.delete(sighting.id);
      this.#reach = rows[MOST - 1].sighting.last;
    }
  }

  /** What turned out to be part of another sighting is shown as that one. */
  #wanted({ id, person, stream }) {
    const [who, where] = [this.#person.value, this.#stream.value];
    return !this.#merged.has(id) && (!who || who === (person ?? "unknown")) && (!where || where === stream);
  }

  #render() {
    const rows = [...this.#rows.values()].sort(newestFirst);
    this.#frame = 0;
    this.#shorten(rows);
    arrange(byId("sightings"), rows.map((row) => row.element));
    byId("more").hidden = !Number.isFinite(this.#reach);
    const open = rows.filter((row) => row.sighting.open).length;
    setText(byId("seen-note"), open ? `${open} in the picture now` : rows.length ? count(rows.length, "sighting") : "");
    byId("seen-empty").hidden = rows.length > 0 || !this.#loaded;
    const filtered = this.#person.value || this.#stream.value;
    setText(byId("seen-empty-text"), filtered ? "No sighting fits this filter." : "Nobody was seen yet. Whoever comes into a picture is listed here.");
  }
}

/** Whoever is in the picture comes first and keeps their place; then by when they were last seen. */
function newestFirst({ sighting: one }, { sighting: other }) {
  if (one.open !== other.open) return one.open ? -1 : 1;
  return one.open ? other.first - one.first : other.last - one.last;
}

/**
 * Give a select these options, keeping the choice where it still exists.
 * @param {HTMLSelectElement} select
 * @param {string[][]} options value and text
 */
function offer(select, options) {
  const same = options.length === select.options.length
    && options.every(([value, text], place) => select.options[place].value === value && select.options[place].text === text);
  if (same) return;
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  select.value = chosen;
  if (select.selectedIndex >= 0) return;
  select.value = "";
  select.dispatchEvent(new Event("change", { bubbles: true }));
}
