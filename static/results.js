/** What the function returned beside pictures: text, numbers as a chart, boxes on the picture, JSON. */

import { Chart, short } from "./chart.js";
import { isBoxes } from "./overlay.js";

/** @typedef {import("./contract.js").ResultMessage} ResultMessage */
/** @typedef {{ element: HTMLElement, show: (data: any, message: ResultMessage) => void }} View */
/** @typedef {"text" | "number" | "boxes" | "json"} Kind */

export class Results {
  #parent;
  /** How each kind is shown. @type {Record<Kind, (name: string) => View>} */
  #views;
  /** @type {Map<string, View>} */
  #shown = new Map();
  #run = 0;
  /** @type {number | null} */
  #pts = null;
  /** How many results of a kind the present frame has had: unnamed ones are told apart by it. @type {Map<Kind, number>} */
  #count = new Map();

  /**
   * @param {HTMLElement} parent
   * @param {import("./overlay.js").Overlay} overlay
   */
  constructor(parent, overlay) {
    this.#parent = parent;
    this.#views = { text, number, json, boxes: (name) => boxes(name, overlay) };
  }

  /** @param {ResultMessage} message */
  show(message) {
    if (message.run !== this.#run) this.clear();
    this.#run = message.run;
    const kind = kindOf(message.data) ?? this.#kindOfNothing(message.name);
    if (!kind) return;
    const key = `${kind} ${message.name ?? this.#ordinal(kind, message.pts)}`;
    let view = this.#shown.get(key);
    if (!view) {
      view = this.#views[kind](message.name ?? { text: "Text", number: "Number", boxes: "Boxes", json: "Data" }[kind]);
      view.element.dataset.kind = kind;
      this.#shown.set(key, view);
      this.#parent.append(view.element);
    }
    view.show(message.data, message);
  }

  clear() {
    this.#shown.clear();
    this.#parent.replaceChildren();
  }

  /**
   * An empty list is no boxes where boxes came before, or else no data; and at first it is nothing.
   * @param {string | null} name
   * @returns {Kind | undefined}
   */
  #kindOfNothing(name) {
    return /** @type {Kind[]} */ (["boxes", "json"]).find((kind) => this.#shown.has(`${kind} ${name ?? 0}`));
  }

  /**
   * @param {Kind} kind
   * @param {number | null} pts
   */
  #ordinal(kind, pts) {
    if (pts === null || pts !== this.#pts) this.#count.clear();
    this.#pts = pts;
    const ordinal = this.#count.get(kind) ?? 0;
    this.#count.set(kind, ordinal + 1);
    return ordinal;
  }
}

/**
 * @param {unknown} data
 * @returns {Kind | null} null for an empty list, which could be of anything
 */
function kindOf(data) {
  if (Array.isArray(data) && data.length === 0) return null;
  if (typeof data === "string") return "text";
  if (typeof data === "number") return "number";
  return isBoxes(data) ? "boxes" : "json";
}

/** @type {(name: string) => View} */
function text(name) {
  const { element, body } = frame(name, "p");
  return { element, show: (data) => (body.textContent = data) };
}

/** @type {(name: string) => View} */
function json(name) {
  const { element, body } = frame(name, "pre");
  return { element, show: (data) => (body.textContent = JSON.stringify(data, null, 2)) };
}

/** @type {(name: string) => View} */
function number(name) {
  const { element, body } = frame(name, "p");
  const chart = new Chart(name);
  element.append(chart.canvas);
  return {
    element,
    show: (data) => {
      body.textContent = short(data);
      chart.push(data);
    },
  };
}

/** @type {(name: string, overlay: import("./overlay.js").Overlay) => View} */
function boxes(name, overlay) {
  const { element, body } = frame(name, "p");
  return {
    element,
    show: (data, { pts }) => {
      /** @type {import("./overlay.js").Box[]} */
      const all = Array.isArray(data) ? data : [data];
      overlay.show(name, all, pts);
      body.textContent = all.map(({ label }) => label || "box").join(", ") || "none";
    },
  };
}

/**
 * @param {string} name
 * @param {"p" | "pre"} tag
 */
function frame(name, tag) {
  const element = document.createElement("article");
  const title = document.createElement("h3");
  const body = document.createElement(tag);
  element.className = "result";
  title.textContent = name;
  body.className = "result-body";
  element.append(title, body);
  return { element, body };
}
