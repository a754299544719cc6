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
  /** By the result's name. @type {Map<string | null, { kind: Kind, view: View }>} */
  #shown = new Map();
  #run = 0;

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
    const { run, name, data } = message;
    if (run !== this.#run) this.clear();
    this.#run = run;
    if (data === null) return; // nothing new, as with pictures
    let shown = this.#shown.get(name);
    const kind = isEmpty(data) ? shown?.kind : kindOf(data);
    if (!kind) return; // an empty list could be of anything
    if (shown?.kind !== kind) {
      const view = this.#views[kind](name ?? TITLES[kind]);
      view.element.dataset.kind = kind;
      view.element.dataset.named = String(name !== null);
      if (shown) shown.view.element.replaceWith(view.element);
      else this.#parent.append(view.element);
      shown = { kind, view };
      this.#shown.set(name, shown);
    }
    shown.view.show(data, message);
  }

  clear() {
    this.#shown.clear();
    this.#parent.replaceChildren();
  }
}

/** For a result without a name. @type {Record<Kind, string>} */
const TITLES = { text: "Text", number: "Number", boxes: "Boxes", json: "Data" };

/** @param {unknown} data */
const isEmpty = (data) => Array.isArray(data) && data.length === 0;

/**
 * @param {unknown} data
 * @returns {Kind}
 */
function kindOf(data) {
  if (typeof data === "string") return "text";
  if (typeof data === "number") return "number";
  return isBoxes(data) ? "boxes" : "json";
}

/** @type {(name: string) => View} */
function text(name) {
  const { element, body } = frame(name, "p");
  return {
    element,
    show: (data) => {
      // A text that grows stays at its end, unless one reads further up.
      const end = body.scrollHeight - body.clientHeight - body.scrollTop < 8;
      body.textContent = data;
      if (end) body.scrollTop = body.scrollHeight;
    },
  };
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
