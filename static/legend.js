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
    const words = [...counts.values()].map(({ text }) => text).join(", ") || "Nothing";
    if (words === this.#words) return;
    this.#words = words;
    this.#list.replaceChildren(...[...counts.values()].map(({ text, label }) => {
      const item = document.createElement("li");
      if (label !== null) item.style.setProperty("--swatch", this.#colour(label));
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

/** What things without a label are called: one, and several. @type {Record<string, [string, string]>} */
const NOUNS = { box: ["box", "boxes"], mask: ["mask", "masks"], keypoints: ["set of points", "sets of points"] };

/**
 * Each label once, with how often there is one, and things without by their kind; tags with their scores, and texts,
 * as they are.
 * @param {Drawing[]} drawings
 */
function summaryOf(drawings) {
  /** The label is what has the colour, and null where there is none. @type {Map<string, { text: string, count: number, label: string | null }>} */
  const summary = new Map();
  for (const each of drawings) {
    if (each.type === "text") {
      summary.set(`text ${summary.size}`, { text: each.text, count: 1, label: null });
      continue;
    }
    const label = each.label ?? "";
    const type = each.type ?? "box";
    const key = label ? `label ${label}` : type;
    const count = (summary.get(key)?.count ?? 0) + 1;
    const [one, several] = NOUNS[type] ?? [type, type];
    const many = count > 1 ? `${count} × ${label}` : label;
    const text = type === "tag" ? captionOf({ ...each, score: rounded(each.score ?? null) })
      : label ? many : `${count} ${count > 1 ? several : one}`;
    summary.set(key, { text, count, label });
  }
  return summary;
}

/** In steps of five, so that it does not flicker. @param {number | null} score */
const rounded = (score) => (score === null ? null : Math.round(20 * score) / 20);
