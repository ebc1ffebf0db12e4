/** The photographs that are chosen: from a file chooser, the camera, or dropped. */

import { byId } from "./dom.js";
import { PhotoItem } from "./photo.js";

/** Holds the chosen photographs in order; events: `change`. */
export class Tray extends EventTarget {
  /** @type {PhotoItem[]} */
  items = [];

  constructor() {
    super();
    for (const input of [byId("photos"), byId("camera")]) {
      input.addEventListener("change", () => {
        this.add([...input.files]);
        // Emptied, so that choosing the same file again counts as a change.
        input.value = "";
      });
    }
    this.#acceptDrops(byId("enrol"), byId("drop"));
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      if (this.items.some((item) => same(item.file, file))) continue;
      const item = new PhotoItem(file, (gone) => this.#remove(gone));
      this.items.push(item);
      byId("tray").append(item.element);
    }
    this.dispatchEvent(new Event("change"));
  }

  clear() {
    for (const item of this.items.splice(0)) item.close();
  }

  #remove(item) {
    const place = this.items.indexOf(item);
    this.items.splice(place, 1);
    item.close();
    (this.items[place] ?? this.items[place - 1])?.button.focus();
    if (!this.items.length) byId("photos").focus();
    this.dispatchEvent(new Event("change"));
  }

  #acceptDrops(target, zone) {
    const over = (event, inside) => {
      event.preventDefault();
      zone.classList.toggle("over", inside);
    };
    target.addEventListener("dragover", (event) => over(event, true));
    target.addEventListener("dragleave", (event) => over(event, target.contains(event.relatedTarget)));
    target.addEventListener("drop", (event) => {
      over(event, false);
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
  }
}

function same(one, other) {
  return one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;
}
