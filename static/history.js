/** A chart of one number over the last ten minutes, from nothing up; points at what it shows. */

import { fit } from "./canvas.js";

const SECONDS = 600;
const PAD = 4;
const FOOT = 18;

/** @typedef {[at: number, value: number]} Point at in seconds of UNIX time */

export class History {
  element = document.createElement("figure");
  #canvas = document.createElement("canvas");
  #value = document.createElement("p");
  #show;
  #least;
  /** @type {Point[]} */
  #points = [];
  /** @type {number | null} */
  #pointer = null;
  #scheduled = false;

  /**
   * @param {string} name what is plotted
   * @param {(value: number) => [number: string, unit: string]} show the value in words
   * @param {number} least what the chart reaches up to at least
   */
  constructor(name, show, least) {
    this.#show = show;
    this.#least = least;
    const heading = document.createElement("h3");
    heading.textContent = name;
    this.element.className = "card figure";
    this.#canvas.setAttribute("role", "img");
    this.#canvas.setAttribute("aria-label", `${name}, the last ten minutes as a line`);
    this.element.append(heading, this.#value, this.#canvas);
    this.#say(null);
    new ResizeObserver(() => this.#schedule()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#schedule());
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    this.#canvas.addEventListener("pointerleave", () => this.#point(null));
  }

  /** @param {Point[]} points all of them, oldest first */
  show(points) {
    this.#points = points;
    this.#schedule();
  }

  /** @param {number | null} x */
  #point(x) {
    this.#pointer = x;
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

  /** @param {Point | null} point @param {string} [when] */
  #say(point, when = "") {
    const [number, unit] = point ? this.#show(point[1]) : ["–", ""];
    const small = document.createElement("small");
    small.textContent = ` ${unit}${when}`;
    this.#value.replaceChildren(number, small);
  }

  #draw() {
    const context = fit(this.#canvas);
    const last = this.#points.at(-1);
    if (!context || !last) return this.#say(null);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const style = getComputedStyle(this.#canvas);
    const most = Math.max(...this.#points.map(([, value]) => value));
    const high = Math.max(this.#least, most) * 1.1;
    const floor = height - FOOT;
    const x = (/** @type {Point} */ [at]) => width - PAD - ((last[0] - at) / SECONDS) * (width - 2 * PAD);
    const y = (/** @type {Point} */ [, value]) => floor - (value / high) * (floor - PAD);

    context.strokeStyle = style.getPropertyValue("--line");
    context.fillStyle = style.getPropertyValue("--muted");
    context.font = `11px ${style.fontFamily}`;
    context.strokeRect(0, Math.round(floor) + 0.5, width, 0);
    context.textAlign = "left";
    context.fillText("10 min ago", 0, height - 3);
    context.textAlign = "center";
    context.fillText(`up to ${this.#show(most)[0]}`, width / 2, height - 3);
    context.textAlign = "right";
    context.fillText("now", width, height - 3);

    const line = new Path2D();
    for (const point of this.#points) line.lineTo(x(point), y(point));
    const area = new Path2D(line);
    area.lineTo(x(last), floor);
    area.lineTo(x(this.#points[0]), floor);
    const accent = style.getPropertyValue("--accent");
    context.fillStyle = context.strokeStyle = accent;
    context.globalAlpha = 0.12;
    context.fill(area);
    context.globalAlpha = 1;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.stroke(line);

    const pointer = this.#pointer;
    const near = pointer === null ? last : this.#points.reduce((best, point) => (
      Math.abs(x(point) - pointer) < Math.abs(x(best) - pointer) ? point : best
    ));
    context.beginPath();
    context.arc(x(near), y(near), 3, 0, 2 * Math.PI);
    context.fill();
    const ago = Math.round(last[0] - near[0]);
    this.#say(near, ago === 0 ? "" : `, ${age(ago)} ago`);
  }
}

/** A time span in two words at most. @param {number} seconds */
export function age(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}
