/** The page: makes its parts and tells each what the others found out. */

import { byId } from "./dom.js";
import { Enrol } from "./enrol.js";
import { Events } from "./events.js";
import { Focus } from "./focus.js";
import { Live } from "./live.js";
import { People } from "./people.js";
import { Sightings } from "./sightings.js";
import { Streams } from "./streams.js";
import { Worker } from "./worker.js";

const PEOPLE_EVERY = 30_000;

const worker = new Worker();
const live = new Live();
const events = new Events();
const streams = new Streams(live, new Focus());
const sightings = new Sightings(events);
const people = new People();
const enrol = new Enrol();

worker.addEventListener("ready", () => {
  live.reset();
  events.open();
  people.refresh();
  sightings.refresh();
});
// What happened after the list was fetched and before the events began is in neither: fetch it once more.
events.addEventListener("open", () => sightings.refresh());
worker.addEventListener("gone", () => streams.tick());
worker.addEventListener("streams", (event) => {
  const list = /** @type {CustomEvent} */ (event).detail;
  streams.update(list);
  sightings.offerStreams(list);
});
live.addEventListener("lost", () => worker.hurry());

people.addEventListener("change", (event) => sightings.offerPeople(/** @type {CustomEvent} */ (event).detail));
people.addEventListener("add", (event) => enrol.open(/** @type {CustomEvent} */ (event).detail));
byId("enrol-open").addEventListener("click", () => enrol.open());
enrol.addEventListener("enrolled", async (event) => {
  await people.refresh();
  people.focus(/** @type {CustomEvent} */ (event).detail.id);
});

// Somebody may be enrolled from elsewhere, which no event tells.
setInterval(() => document.hidden || worker.state !== "ready" || people.refresh(), PEOPLE_EVERY);
worker.start();
