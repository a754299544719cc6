/** Drawings over the picture that they were found in: those of that very picture, or the newest. */

import { fit } from "./canvas.js";
import { Classes } from "./classes.js";
import { draw } from "./drawings.js";
import { Held } from "./held.js";
import { Age } from "./age.js";

/** @typedef {import("./drawings.js").Drawing} Drawing */

/** How long drawings stay when no newer ones come, ms. */
const STALE = 1000;

export class Overlay {
  classes = new Classes();
  /** Of those drawn over a camera that is not sent back. @type {Age | null} */
  age = null;
  #canvas = document.createElement("canvas");
  /** @type {Held | null} */
  #held = null;
  /** What is drawn, by the result's name. @type {Map<string, Drawing[]>} */
  #shown = new Map();
  #mirrored = false;
  #stale = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {boolean} local whether it is the camera's own picture, which waits for nothing
   */
  constructor(video, local) {
    this.#canvas.className = "overlay";
    this.#canvas.ariaHidden = "true"; // the same is said in words beside it
    video.after(this.#canvas);
    if (local) this.age = new Age(video.closest(".screen")?.querySelector(".caption"));
    else this.#held = new Held(video, (drawings) => this.#replace(drawings));
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
  }

  set mirrored(/** @type {boolean} */ mirrored) {
    this.#mirrored = mirrored;
    this.#draw();
  }

  /** Whether drawings may be of another picture than the one they are on, without that being said. */
  get isBlind() {
    return this.#held?.isBlind ?? false;
  }

  /**
   * @param {string} name of the result: newer drawings of a name replace older ones
   * @param {Drawing[]} drawings
   * @param {number | null} pts the RTP timestamp of their frame
   */
  show(name, drawings, pts) {
    const named = new Map([[name, drawings]]);
    if (this.#held && pts !== null) this.#held.add(named, pts);
    else this.#replace(named);
    if (pts !== null) this.age?.heard(pts);
  }

  clear() {
    clearTimeout(this.#stale);
    this.#shown.clear();
    this.#held?.clear();
    this.age?.clear();
    this.#draw();
  }

  /**
   * @param {Map<string, Drawing[]>} drawings
   * @returns {boolean} whether anything is drawn now
   */
  #replace(drawings) {
    for (const [name, each] of drawings) this.#shown.set(name, each);
    if (drawings.size) this.#expire();
    return this.#draw();
  }

  /** Drawings go when no newer ones come; on a picture that stands still, they are as true as before. */
  #expire() {
    clearTimeout(this.#stale);
    const drawn = this.#held?.pictures;
    this.#stale = setTimeout(() => {
      if (drawn !== undefined && drawn === this.#held?.pictures) return this.#expire();
      this.#shown.clear();
      this.#held?.release();
      this.age?.hide();
      this.#draw();
    }, STALE);
  }

  #draw() {
    const drawings = [...this.#shown.values()].flat();
    const context = fit(this.#canvas);
    if (!context) return false;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const font = `600 12px ${getComputedStyle(this.#canvas).fontFamily}`;
    const colour = (/** @type {string} */ label) => this.classes.colour(label);
    draw(drawings, { context, width, height, mirrored: this.#mirrored, colour, font });
    return drawings.length > 0;
  }
}
