/** A canvas that shows the newest picture of a stream, and never queues any. */

/** Decodes one picture at a time; a newer one replaces the one that waits. */
export class Screen {
  #context;
  /** @type {Blob | null} */
  #next = null;
  #busy = false;
  /** When the last picture was drawn, `performance.now()`; 0 for never. */
  drawn = 0;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  }

  /** @param {Blob} jpeg */
  show(jpeg) {
    this.#next = jpeg;
    if (!this.#busy) this.#work();
  }

  /**
   * Begin with what another screen shows.
   * @param {Screen} other
   */
  start(other) {
    this.#next = null;
    this.drawn = other.drawn;
    this.canvas.width = other.canvas.width;
    this.canvas.height = other.canvas.height;
    this.#context.drawImage(other.canvas, 0, 0);
  }

  async #work() {
    this.#busy = true;
    while (this.#next) {
      const jpeg = this.#next;
      this.#next = null;
      const bitmap = await createImageBitmap(jpeg).catch(() => null);
      if (bitmap) this.#draw(bitmap);
    }
    this.#busy = false;
  }

  #draw(bitmap) {
    const { canvas } = this;
    // Setting the size clears the canvas, so it is set only when it changes.
    if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
    if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
    this.#context.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.drawn = performance.now();
  }
}
