/** What the function returned beside pictures: text, numbers as a chart, drawings on the picture, JSON. */

import { Chat, isChat } from "./chat.js";
import { Chart, colourOf, isPlot, short } from "./chart.js";
import { isDrawings } from "./drawings.js";
import { Legend } from "./legend.js";
import { shown } from "./widgets.js";

/** @typedef {import("./contract.js").ResultMessage} ResultMessage */
/** @typedef {{ element: HTMLElement, show: (data: any, message: ResultMessage) => void }} View */
/** @typedef {"text" | "number" | "drawings" | "chat" | "download" | "fields" | "json"} Kind */

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
    this.#views = { text, number, fields, json, chat, download, drawings: (name) => drawings(name, overlay) };
  }

  /** @param {ResultMessage} message */
  show(message) {
    const { run, name, data } = message;
    if (run !== this.#run) this.#begin();
    this.#run = run;
    if (data === null) return; // nothing new, as with pictures
    let shown = this.#shown.get(name);
    const kind = isEmpty(data) && shown?.kind !== "number" ? shown?.kind : kindOf(data);
    if (!kind) return; // an empty list could be of anything
    if (shown?.kind !== kind) {
      const named = name !== null && !UNNAMED.test(name);
      const view = this.#views[kind](named ? name : this.#title(kind, name));
      view.element.dataset.kind = kind;
      view.element.dataset.named = String(named);
      if (shown) shown.view.element.replaceWith(view.element);
      else this.#parent.append(view.element);
      shown = { kind, view };
      this.#shown.set(name, shown);
    }
    shown.view.show(data, message);
  }

  /** For a result without a name. @param {Kind} kind @param {string | null} name the server's */
  #title(kind, name) {
    const title = TITLES[kind];
    const others = [...this.#shown].filter(([other, shown]) => other !== name && TITLES[shown.kind] === title);
    return others.length ? `${title} ${others.length + 1}` : title;
  }

  /** Another run: nothing of the last one is left, but for conversations, which go on. */
  #begin() {
    for (const [name, { kind, view }] of this.#shown) {
      if (kind === "chat") continue;
      view.element.remove();
      this.#shown.delete(name);
    }
  }

  clear() {
    this.#shown.clear();
    this.#parent.replaceChildren();
  }
}

/** @type {Record<Kind, string>} */
const TITLES = {
  text: "Text", number: "Number", drawings: "Found", chat: "Conversation", download: "To download", fields: "Data", json: "Data",
};
/** How the server calls one of several without a name. */
const UNNAMED = /^result \d+$/;

/** @param {unknown} data */
const isEmpty = (data) => Array.isArray(data) && data.length === 0;

/**
 * @param {unknown} data
 * @returns {Kind}
 */
function kindOf(data) {
  if (typeof data === "string" || typeof data === "boolean" || (Array.isArray(data) && data.every(isScalar))) return "text";
  if (typeof data === "number" || isPlot(data)) return "number";
  if (isChat(data)) return "chat";
  if (isDownload(data)) return "download";
  if (isDrawings(data)) return "drawings";
  return !Array.isArray(data) && Object.values(/** @type {object} */ (data)).every(isScalar) ? "fields" : "json";
}

/** @param {unknown} value */
const isScalar = (value) => value === null || typeof value !== "object";

/** @param {any} value @returns {string} */
function worded(value) {
  if (Array.isArray(value)) return value.map(worded).join(", ");
  if (typeof value === "boolean") return value ? "Yes" : "No";
  return value === null ? "–" : shown(value);
}

/** @type {(name: string) => View} */
function text(name) {
  const { element, body } = frame(name, "p");
  return {
    element,
    show: (data) => {
      // A text that grows stays at its end, unless one reads further up.
      const end = body.scrollHeight - body.clientHeight - body.scrollTop < 8;
      body.textContent = worded(data);
      if (end) body.scrollTop = body.scrollHeight;
    },
  };
}

/** @param {any} data */
const isDownload = (data) => data?.type === "download" && String(data.href).startsWith("download/");

/** @type {(name: string) => View} */
function download(name) {
  const { element, body } = frame(name, "p");
  const link = document.createElement("a");
  body.append(link);
  return {
    element,
    show: (data) => {
      link.href = data.href;
      link.download = data.name;
      link.textContent = shown(data);
    },
  };
}

/** A dictionary or a dataclass. @type {(name: string) => View} */
function fields(name) {
  const { element, body } = frame(name, "dl");
  return {
    element,
    show: (data) => {
      body.replaceChildren(...Object.entries(data).flatMap(([key, value]) => {
        const [term, said] = [document.createElement("dt"), document.createElement("dd")];
        term.textContent = key;
        said.textContent = worded(value);
        return [term, said];
      }));
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
      /** @type {import("./chart.js").Plot} */
      const plot = isPlot(data) ? data : { values: { "": data } };
      const values = Object.entries(plot.values);
      body.classList.toggle("legend", values.length > 1);
      body.replaceChildren(...values.map(([each, value], index) => {
        const item = document.createElement("span");
        if (values.length > 1) item.style.setProperty("--swatch", colourOf(index));
        item.textContent = [each, short(value), plot.unit].filter(Boolean).join(" ");
        return item;
      }));
      chart.push(plot);
    },
  };
}

/** @type {(name: string) => View} */
function chat(name) {
  const { element, body } = frame(name, "div");
  const view = new Chat(body);
  return { element, show: (data) => view.show(data) };
}

/** @type {(title: string, overlay: import("./overlay.js").Overlay) => View} */
function drawings(title, overlay) {
  const { element, body } = frame(title, "div");
  const legend = new Legend(body, (label) => overlay.classes.colour(label));
  return {
    element,
    show: (data, { pts, name }) => {
      /** @type {import("./drawings.js").Drawing[]} */
      const all = Array.isArray(data) ? data : [data];
      overlay.show(name ?? "", all, pts);
      legend.show(all, overlay.isBlind);
    },
  };
}

/**
 * @param {string} name
 * @param {"p" | "pre" | "div" | "dl"} tag
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
