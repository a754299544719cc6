/** What is drawn on the picture, in words and colours beside it; read out now and then. */

import { captionOf } from "./drawings.js";

/** @typedef {import("./drawings.js").Drawing} Drawing */

/** Something is read out so long after it has changed, and so seldom; ms. */
const SETTLED = 800;
const APART = 5000;
const BLIND = "This browser does not tell which picture is on screen, so what is drawn may be a moment early or late.";

export class Legend {
  #list = document.createElement("ul");
  #note = document.createElement("p");
  #status = document.createElement("p");
  #colour;
  #words = "";
  #said = "";
  #timer = 0;
  #last = -Infinity;

  /**
   * @param {HTMLElement} parent
   * @param {(label: string) => string} colour
   */
  constructor(parent, colour) {
    this.#colour = colour;
    this.#list.className = "legend";
    this.#note.className = "hint";
    this.#note.hidden = true;
    this.#note.textContent = BLIND;
    this.#status.className = "unseen";
    this.#status.role = "status";
    parent.append(this.#list, this.#note, this.#status);
  }

  /**
   * @param {Drawing[]} drawings
   * @param {boolean} blind whether they may not be on their picture
   */
  show(drawings, blind) {
    this.#note.hidden = !blind;
    const counts = summaryOf(drawings);
    const words = [...counts].map(([label, { text }]) => text || label).join(", ") || "Nothing";
    if (words === this.#words) return;
    this.#words = words;
    this.#list.replaceChildren(...[...counts].map(([label, { text, swatch }]) => {
      const item = document.createElement("li");
      if (swatch) item.style.setProperty("--swatch", this.#colour(label));
      item.textContent = text;
      return item;
    }));
    if (!counts.size) this.#list.textContent = "Nothing";
    this.#readOut();
  }

  /** Not each change, but what holds when it is time to say something. */
  #readOut() {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#words === this.#said) return;
      this.#status.textContent = this.#said = this.#words;
      this.#last = performance.now();
    }, Math.max(SETTLED, this.#last + APART - performance.now()));
  }
}

/**
 * Each label once, with how often there is one; tags with their scores, and texts, as they are.
 * @param {Drawing[]} drawings
 */
function summaryOf(drawings) {
  /** @type {Map<string, { text: string, count: number, swatch: boolean }>} */
  const summary = new Map();
  for (const each of drawings) {
    if (each.type === "text") {
      summary.set(`text ${summary.size}`, { text: each.text, count: 1, swatch: false });
    } else {
      const label = each.label ?? "";
      const count = (summary.get(label)?.count ?? 0) + 1;
      const name = each.type === "tag" ? captionOf({ ...each, score: rounded(each.score) }) : label || each.type || "box";
      summary.set(label, { text: count > 1 ? `${count} ${name}` : name, count, swatch: true });
    }
  }
  return summary;
}

/** In steps of five, so that it does not flicker. @param {number | null} score */
const rounded = (score) => (score === null ? null : Math.round(20 * score) / 20);
