/** Boxes drawn over the picture that they were found in. */

import { fit } from "./canvas.js";

/**
 * @typedef {object} Box in pixels of a picture of the size `frame`
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {string | null} [label]
 * @property {number | null} [score]
 * @property {[number, number]} frame
 */

/** Boxes that wait for their frame; a frame that never comes must not keep them. */
const MOST_WAITING = 90;
/** How long boxes stay when no newer ones come, ms. */
const STALE = 1000;

/**
 * @param {unknown} data
 * @returns {data is Box | Box[]}
 */
export function isBoxes(data) {
  if (Array.isArray(data)) return data.length > 0 && data.every((each) => !Array.isArray(each) && isBoxes(each));
  const box = /** @type {Record<string, unknown> | null} */ (data);
  return typeof box === "object" && box !== null && Array.isArray(box.frame)
    && ["x", "y", "width", "height"].every((side) => typeof box[side] === "number");
}

export class Overlay {
  #canvas;
  #video;
  /** By the RTP timestamp of their frame, then by the result's name. @type {Map<number, Map<string, Box[]>>} */
  #waiting = new Map();
  /** What is drawn, by the result's name. @type {Map<string, Box[]>} */
  #shown = new Map();
  /** The frame on screen; undefined where the browser does not tell. @type {number | undefined} */
  #onScreen;
  #mirrored = false;
  #stale = 0;

  /**
   * @param {HTMLCanvasElement} canvas lies exactly over the video
   * @param {HTMLVideoElement} video
   */
  constructor(canvas, video) {
    this.#canvas = canvas;
    this.#video = video;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    if ("requestVideoFrameCallback" in video) this.#watch();
  }

  set mirrored(/** @type {boolean} */ mirrored) {
    this.#mirrored = mirrored;
    this.#draw();
  }

  /**
   * @param {string} name of the result: newer boxes of a name replace older ones
   * @param {Box[]} boxes
   * @param {number | null} pts the RTP timestamp of their frame
   */
  show(name, boxes, pts) {
    if (pts === null || this.#onScreen === undefined || this.#onScreen === pts) {
      this.#replace(new Map([[name, boxes]]));
      return;
    }
    const frame = this.#waiting.get(pts) ?? new Map();
    this.#waiting.set(pts, frame.set(name, boxes));
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MOST_WAITING) this.#waiting.delete(oldest);
  }

  clear() {
    this.#waiting.clear();
    this.#shown.clear();
    this.#onScreen = undefined;
    this.#draw();
  }

  #watch() {
    this.#video.requestVideoFrameCallback((_, { rtpTimestamp }) => {
      this.#onScreen = rtpTimestamp;
      const boxes = rtpTimestamp === undefined ? undefined : this.#waiting.get(rtpTimestamp);
      if (boxes) {
        this.#replace(boxes);
        // Frames come in order: what waited for an earlier one waits in vain.
        for (const pts of this.#waiting.keys()) {
          this.#waiting.delete(pts);
          if (pts === rtpTimestamp) break;
        }
      }
      this.#watch();
    });
  }

  /** @param {Map<string, Box[]>} boxes */
  #replace(boxes) {
    for (const [name, each] of boxes) this.#shown.set(name, each);
    clearTimeout(this.#stale);
    this.#stale = setTimeout(() => (this.#shown.clear(), this.#draw()), STALE);
    this.#draw();
  }

  #draw() {
    const context = fit(this.#canvas);
    if (!context) return;
    const { clientWidth, clientHeight } = this.#canvas;
    const { font, accent } = this.#style();
    for (const box of [...this.#shown.values()].flat()) {
      // In full screen the picture is fitted in whole; elsewhere it fills its element.
      const [frameWidth, frameHeight] = box.frame;
      const scale = Math.min(clientWidth / frameWidth, clientHeight / frameHeight);
      const width = box.width * scale;
      const left = (clientWidth - frameWidth * scale) / 2 + box.x * scale;
      const top = (clientHeight - frameHeight * scale) / 2 + box.y * scale;
      const x = this.#mirrored ? clientWidth - left - width : left;
      context.lineWidth = 2;
      context.strokeStyle = accent;
      context.beginPath();
      context.roundRect(x, top, width, box.height * scale, 4);
      context.stroke();

      const text = [box.label, box.score == null ? null : `${Math.round(100 * box.score)}%`].filter(Boolean).join(" ");
      if (!text) continue;
      context.font = font;
      const labelWidth = context.measureText(text).width + 12;
      const labelTop = top >= 22 ? top - 22 : top + 2;
      context.fillStyle = accent;
      context.beginPath();
      context.roundRect(x - 1, labelTop, labelWidth, 20, 4);
      context.fill();
      context.fillStyle = "#04231e";
      context.fillText(text, x + 5, labelTop + 14);
    }
  }

  #style() {
    const style = getComputedStyle(this.#canvas);
    return { font: `600 12px ${style.fontFamily}`, accent: style.getPropertyValue("--box") };
  }
}
