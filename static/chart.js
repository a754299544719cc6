/** A live line chart of numbers: the last seconds, scaled to what they hold. */

import { fit } from "./canvas.js";
import { COLOURS } from "./classes.js";

const SECONDS = 12;
const PAD = 6;

/**
 * @typedef {object} Plot
 * @property {Record<string, number>} values by name, which is empty where there is one
 * @property {number | null} [minimum] of the chart
 * @property {number | null} [maximum]
 * @property {string} [unit]
 */

/**
 * @param {any} data
 * @returns {data is Plot & { type: "plot" }}
 */
export const isPlot = (data) => data?.type === "plot" && typeof data.values === "object" && data.values !== null
  && Object.values(data.values).every((value) => typeof value === "number");

export class Chart {
  canvas = document.createElement("canvas");
  /** @type {(Plot & { time: number })[]} */
  #points = [];
  #scheduled = false;

  /** @param {string} name what is plotted, for those who cannot see it */
  constructor(name) {
    this.canvas.className = "chart";
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${name}, the last ${SECONDS} seconds as a line`);
    new ResizeObserver(() => this.#schedule()).observe(this.canvas);
    // Drawn pixels do not follow the style sheet by themselves.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#schedule());
  }

  /** @param {Plot} plot */
  push(plot) {
    const time = performance.now();
    this.#points.push({ ...plot, time });
    const oldest = time - 1000 * SECONDS;
    // One point more than is seen, so that the line enters from the edge.
    while (this.#points.length > 2 && this.#points[1].time < oldest) this.#points.shift();
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    const context = fit(this.canvas);
    const last = this.#points.at(-1);
    if (!context || !last) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const style = getComputedStyle(this.canvas);
    const values = this.#points.flatMap((point) => Object.values(point.values));
    let low = last.minimum ?? Math.min(...values);
    let high = last.maximum ?? Math.max(...values);
    if (low >= high) [low, high] = [low - 1, high + 1];

    const x = (/** @type {number} */ time) => width - PAD - ((last.time - time) / (1000 * SECONDS)) * (width - PAD);
    const y = (/** @type {number} */ value) => height - PAD - ((value - low) / (high - low)) * (height - 2 * PAD);
    context.strokeStyle = style.getPropertyValue("--line");
    context.lineWidth = 1;
    for (const value of [low, (low + high) / 2, high]) {
      context.beginPath();
      context.moveTo(0, Math.round(y(value)) + 0.5);
      context.lineTo(width, Math.round(y(value)) + 0.5);
      context.stroke();
    }

    const names = Object.keys(last.values);
    names.forEach((name, index) => {
      context.fillStyle = context.strokeStyle = names.length > 1 ? colourOf(index) : style.getPropertyValue("--accent");
      const points = this.#points.filter((point) => name in point.values);
      const line = new Path2D();
      for (const { time, values } of points) line.lineTo(x(time), y(values[name]));
      if (names.length === 1) {
        const area = new Path2D(line);
        area.lineTo(x(last.time), height);
        area.lineTo(x(points[0].time), height);
        context.globalAlpha = 0.1;
        context.fill(area);
        context.globalAlpha = 1;
      }
      context.lineWidth = 1.75;
      context.lineJoin = "round";
      context.stroke(line);
      context.beginPath();
      context.arc(x(last.time), y(last.values[name]), 3, 0, 2 * Math.PI);
      context.fill();
    });

    context.fillStyle = style.getPropertyValue("--muted");
    context.font = `11px ${style.fontFamily}`;
    context.fillText(short(high), 2, PAD + 12);
    context.fillText(short(low), 2, height - PAD - 4);
  }
}

/** Of one line among several: bright on dark; on light, dark enough to be seen. @param {number} index */
export const colourOf = (index) => (matchMedia("(prefers-color-scheme: dark)").matches
  ? COLOURS[index % COLOURS.length]
  : `color-mix(in srgb, ${COLOURS[index % COLOURS.length]}, black 40%)`);

/** At most four digits that matter. @param {number} value */
export const short = (value) => String(Number(value.toPrecision(4)));
