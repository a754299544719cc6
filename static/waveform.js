/** The picture of a stream that has none: the last seconds of its sound, as bars. */

import { fit } from "./canvas.js";
import { Level, everyFrame, loudness } from "./level.js";

const BAR = 3;
const PITCH = 6;
/** How fast bars go by, in CSS pixels a millisecond. */
const SPEED = 0.11;
/** Shares of the canvas: where bars fade out, and how high the loudest one is. */
const FADE = 0.15;
const TALLEST = 0.7;

/** @typedef {{ level: Level, bars: number[] }} Voice its newest bar comes last */

export class Waveform {
  #canvas;
  /** Drawn over each other, by the custom property with their colour. @type {Map<string, Voice>} */
  #voices = new Map();
  #stop = () => {};
  #started = 0;
  /** Bars that have entered so far. */
  #entered = 0;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
  }

  /**
   * @param {MediaStreamTrack} track takes the place of one of the same colour
   * @param {string} colour the name of a custom property
   */
  show(track, colour) {
    const known = this.#voices.get(colour);
    known?.level.close();
    if (this.#voices.size === 0) {
      this.#started = performance.now();
      this.#entered = 0;
      this.#stop = everyFrame((time) => this.#draw(time));
    }
    this.#voices.set(colour, { level: new Level(track), bars: known?.bars ?? [0] });
  }

  clear() {
    this.#stop();
    for (const { level } of this.#voices.values()) level.close();
    this.#voices.clear();
    fit(this.#canvas);
  }

  /** @param {number} time */
  #draw(time) {
    const context = fit(this.#canvas);
    if (!context) return;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const style = getComputedStyle(this.#canvas);
    const most = Math.ceil(width / PITCH) + 1;
    const travelled = Math.max(0, time - this.#started) * SPEED;
    const entered = Math.floor(travelled / PITCH);
    for (const [colour, { level, bars }] of this.#voices) {
      // None entered while the page was hidden.
      for (let fresh = Math.min(entered - this.#entered, most); fresh > 0; fresh -= 1) bars.push(0);
      bars.splice(0, bars.length - most);
      // A bar is as high as the loudest moment of its time.
      bars.push(Math.max(bars.pop() ?? 0, loudness(level.peak)));
      context.fillStyle = style.getPropertyValue(colour);
      bars.toReversed().forEach((bar, index) => {
        const x = width - index * PITCH - (travelled % PITCH);
        const tall = Math.max(BAR, bar ** 2 * TALLEST * height);
        context.globalAlpha = Math.max(0, Math.min(1, x / (FADE * width)));
        context.beginPath();
        context.roundRect(x, (height - tall) / 2, BAR, tall, BAR / 2);
        context.fill();
      });
    }
    this.#entered = entered;
  }
}
