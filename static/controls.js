/** The controls of a stream: each shows the value that the server has acknowledged. */

import { StreamError } from "./errors.js";
import { WIDGETS, parseText, shown, sized } from "./widgets.js";

/** @typedef {import("./contract.js").ControlDescription} Description */
/** @typedef {import("./contract.js").Value} Value */
/** @typedef {import("./contract.js").Values} Values */
/** @typedef {(control: string, file: File, progress: (share: number) => void, signal: AbortSignal) => Promise<unknown>} Upload */

export class Controls {
  /** @type {Map<string, Control>} */
  #controls = new Map();
  /** @type {((values: Values) => Promise<unknown>) | null} */
  #set = null;
  /** @type {Upload | null} */
  #upload = null;
  /** What the server has said in this session. @type {Values} */
  #heard = {};
  /** Controls of files that this session has been offered. @type {Set<string>} */
  #offered = new Set();

  /**
   * @param {HTMLElement} parent
   * @param {Description[]} descriptions
   * @param {number} pause what is being typed counts after so many milliseconds
   */
  constructor(parent, descriptions, pause) {
    parent.replaceChildren();
    if (descriptions.some(({ type }) => type === "file")) keepThePage();
    for (const description of descriptions) {
      const control = new Control(description, pause, (values) => this.#set?.(values) ?? null,
        (...upload) => this.#upload?.(...upload) ?? null);
      this.#controls.set(description.name, control);
      parent.append(control.element);
    }
  }

  /** Those of a place in the picture. */
  get places() {
    return [...this.#controls.values()].filter(({ description }) => description.type === "point");
  }

  /** The acknowledged values, or without a session those to begin with. */
  get values() {
    /** @type {Values} */
    const values = {};
    for (const [name, { value, usable }] of this.#controls) if (usable && value != null) values[name] = value;
    return values;
  }

  /**
   * First values out of the page's query string.
   * @param {URLSearchParams} query
   * @returns {string[]} what it says that cannot be, as sentences
   */
  take(query) {
    const complaints = [];
    for (const [name, text] of query) {
      const control = this.#controls.get(name);
      if (!control?.usable) {
        complaints.push(`There is no control “${name}” here; it was left out.`);
        continue;
      }
      try {
        control.acknowledge(parseText(control.description, text));
      } catch (error) {
        complaints.push(`“${text}” was not taken for ${name}: ${/** @type {Error} */ (error).message}.`);
      }
    }
    return complaints;
  }

  /**
   * From now on a change goes to the server.
   * @param {(values: Values) => Promise<unknown>} set
   * @param {Upload} upload
   * @param {Values} first what the session began with; what has changed since goes out now
   */
  attach(set, upload, first) {
    this.#set = set;
    this.#upload = upload;
    const known = { ...first, ...this.#heard };
    for (const [name, control] of this.#controls) {
      const { value } = control;
      if (control.description.type === "file") continue;
      if (!control.usable || value == null || isSame(value, known[name])) continue;
      control.acknowledge(known[name]);
      void control.change(value);
    }
    this.#offer();
  }

  /** Each session is offered the files that were chosen here once, when it has said which it has. */
  #offer() {
    if (!this.#upload) return;
    for (const [name, control] of this.#controls) {
      if (control.description.type !== "file" || this.#offered.has(name) || !(name in this.#heard)) continue;
      this.#offered.add(name);
      void control.attach(this.#heard[name] ?? null);
    }
  }

  detach() {
    this.#set = null;
    this.#upload = null;
    for (const control of this.#controls.values()) control.detach();
    this.#heard = {};
    this.#offered.clear();
  }

  /** @param {Values} values what the server says that holds */
  acknowledge(values) {
    Object.assign(this.#heard, values);
    for (const [name, value] of Object.entries(values)) this.#controls.get(name)?.acknowledge(value);
    this.#offer();
  }

  reset() {
    for (const control of this.#controls.values()) {
      const { usable, description } = control;
      if (usable) void control.change(description.default);
    }
  }

  /**
   * @param {string} name
   * @param {string} message
   * @returns {boolean} whether there is such a control to show it by
   */
  complain(name, message) {
    const control = this.#controls.get(name);
    control?.complain(message);
    return Boolean(control);
  }
}

/** @param {Value} one @param {Value} other */
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** A file that is dropped beside its control would be opened in this page's place. */
function keepThePage() {
  for (const type of ["dragover", "drop"]) {
    addEventListener(type, (event) => {
      const { target, dataTransfer } = /** @type {DragEvent} */ (event);
      const taken = target instanceof HTMLInputElement && target.type === "file"; // a text may be one's own node
      if (dataTransfer?.types.includes("Files") && !taken) event.preventDefault();
    });
  }
}

const hasMouse = () => matchMedia("(hover: hover)").matches;

/**
 * The server's words beside the control that they are about, which then need not name it.
 * @param {string} name
 * @param {string} message
 */
function beside(name, message) {
  const words = message.startsWith(`${name} `) ? message.slice(name.length + 1) : message;
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");
}

/** One of them. */
class Control {
  element = document.createElement("div");
  /** Told of each value that is shown. @type {((value: Value) => void) | null} */
  shown = null;
  /** When it was last touched, ms. */
  touched = 0;
  /** What was chosen here, and goes into each session. @type {File | null} */
  #file = null;
  /** Ends the upload that is under way. @type {AbortController | null} */
  #sending = null;
  #widget;
  #send;
  #upload;
  #echo = document.createElement("output");
  #message = document.createElement("p");
  /** The answer to the newest value, while it is awaited. @type {Promise<unknown> | null} */
  #answer = null;
  /** Runs while something is being typed that does not count yet. */
  #timer = 0;
  /** Whether what was typed cannot be: it stays in its field, to be mended. */
  #refused = false;
  #pause;

  /**
   * @param {Description} description
   * @param {number} pause
   * @param {(values: Values) => Promise<unknown> | null} send null while there is no session
   * @param {(...upload: Parameters<Upload>) => Promise<unknown> | null} upload
   */
  constructor(description, pause, send, upload) {
    const { name, type, label } = description;
    this.description = description;
    this.value = description.default;
    this.#pause = pause;
    this.#send = send;
    this.#upload = upload;
    this.#widget = WIDGETS[type]?.(description) ?? null;

    const id = `control-${name}`;
    const title = document.createElement("label");
    title.textContent = label || name;
    title.htmlFor = this.#echo.htmlFor.value = id;
    this.#message.id = `${id}-message`;
    this.#message.className = "control-message";
    this.#message.setAttribute("aria-live", "polite");
    this.element.className = "control";
    this.element.dataset.control = name;
    this.element.dataset.type = type;
    if (!this.#widget) {
      this.#message.textContent = `A ${type} cannot be set from this page yet: the default stays.`;
      this.element.append(title, this.#message);
      return;
    }

    const { input, element = wrap(input), typed, echo } = this.#widget;
    input.id = id;
    input.name = name;
    this.#echo.id = `${id}-echo`;
    input.setAttribute("aria-describedby", `${this.#echo.id} ${this.#message.id}`);
    element.addEventListener("input", () => (typed ? this.#typing() : this.#take()));
    element.querySelector(".clear")?.addEventListener("click", () => {
      void this.change(null);
      input.focus();
    });
    this.element.addEventListener("pointerdown", () => (this.touched = performance.now()));
    this.element.addEventListener("focusin", () => (this.touched = performance.now()));
    // Enter, or leaving the field, ends the typing.
    if (typed) input.addEventListener("change", () => (this.#timer ? this.#take() : this.#show()));
    this.element.append(title, ...(echo || typed ? [this.#echo] : []), element, this.#message);
    if (type === "file") element.prepend(this.#echo);
    this.#show();
  }

  get usable() {
    return this.#widget !== null;
  }

  /** @param {Value} value */
  acknowledge(value) {
    // What somebody else has set takes the place of what could not be.
    if (this.#complains && !this.#answer && !isSame(value, this.value)) this.complain("");
    this.value = value;
    this.#show();
  }

  /** Whether it says that something was not taken. */
  get #complains() {
    return this.usable && this.#message.textContent !== "" && !this.#message.hasAttribute("data-well");
  }

  /** @param {string} message @param {boolean} [well] whether it is no complaint */
  complain(message, well = false) {
    this.#refused = false;
    this.#message.textContent = message;
    this.#message.toggleAttribute("data-well", well);
    this.#widget?.input.setAttribute("aria-invalid", String(Boolean(message) && !well));
  }

  /** @param {string} message */
  #refuse(message) {
    this.complain(beside(this.description.name, message));
    this.#refused = Boolean(this.#widget?.typed);
  }

  /** @param {Value} value */
  async change(value) {
    this.complain("");
    if (value === null) {
      this.#file = null;
      this.#sending?.abort(); // or it would be the value after all
    }
    const answer = (this.#answer = this.#send({ [this.description.name]: value }));
    if (!answer) return this.acknowledge(value);
    this.element.dataset.pending = "";
    let complaint = "";
    try {
      await answer;
    } catch (error) {
      // A session that ended tells so by itself; a value that was refused belongs here.
      const code = error instanceof StreamError ? error.code : "";
      if (code === "rejected") complaint = /** @type {Error} */ (error).message;
      // It is what the next session begins with.
      else if (code !== "unanswered" && this.#answer === answer) this.value = value;
    }
    if (this.#answer !== answer) return;
    this.#answer = null;
    if (complaint) this.#refuse(complaint);
    else if (!this.#refused) this.complain("");
    delete this.element.dataset.pending;
    this.#show();
  }

  #typing() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#take(), this.#pause);
  }

  /**
   * Has the server have the file that was chosen, in a session that has just begun, unless there is one: everybody's
   * may be somebody else's.
   * @param {Value} known
   */
  async attach(known) {
    if (this.#file && known === null) await this.#give(this.#file);
  }

  /** The session has ended, and what was on its way to it. */
  detach() {
    this.#sending?.abort();
  }

  /** @param {File} file */
  async #give(file) {
    const { name, maximum } = this.description;
    if (maximum != null && file.size > maximum) {
      return this.complain(`${file.name} has ${sized(file.size)}: at most ${sized(maximum)} are taken.`);
    }
    this.#file = file;
    const far = (/** @type {number | null} */ share) => this.#widget?.progress?.(share);
    this.#sending?.abort();
    this.#sending = new AbortController();
    const { signal } = this.#sending;
    const answer = (this.#answer = this.#upload(name, file, far, signal));
    if (!answer) this.value = null; // that was the last session's
    this.#show();
    if (!answer) return this.complain("It is uploaded when the session starts.", true);
    this.complain("Uploading…", true);
    far(0);
    let complaint = "";
    try {
      this.value = /** @type {Value} */ (await answer);
    } catch (error) {
      if (!signal.aborted) complaint = /** @type {Error} */ (error).message;
    }
    if (this.#sending.signal === signal) far(null);
    if (this.#answer !== answer) return;
    this.#answer = null;
    this.complain(complaint);
    this.#show();
  }

  #take() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    try {
      const value = /** @type {import("./widgets.js").Widget} */ (this.#widget).read();
      void (value instanceof File ? this.#give(value) : this.change(value));
    } catch (error) {
      this.#refuse(/** @type {Error} */ (error).message);
      this.#show();
    }
  }

  /** The figure is always the acknowledged one; the input is the person's own while it is being changed. */
  #show() {
    if (this.description.type === "file") this.#showFile();
    else if (this.#widget?.typed) this.#echo.value = this.#refused ? `still ${shown(this.value) || "empty"}` : "";
    else this.#echo.value = this.value === null ? `${hasMouse() ? "click" : "tap"} the picture` : shown(this.value);
    this.shown?.(this.value);
    if (!this.#answer && !this.#timer && !this.#refused) this.#widget?.write(this.value);
  }

  /** The file that is on its way, or there, or yet to be sent. */
  #showFile() {
    const file = /** @type {File | import("./contract.js").Upload | null} */ (this.#answer ? this.#file : this.value ?? this.#file);
    const [name, size] = [document.createElement("span"), document.createElement("small")];
    size.textContent = file ? sized(file.size) : "";
    name.textContent = file?.name ?? (hasMouse() ? "Choose a file, or drop it here" : "Choose a file");
    this.#echo.replaceChildren(name, " ", size);
    this.#echo.title = file?.name ?? "";
    this.#widget?.element?.toggleAttribute("data-none", !file);
  }
}

/** A select needs something around it to draw its arrow on. @param {HTMLElement} input */
function wrap(input) {
  if (!(input instanceof HTMLSelectElement)) return input;
  const box = document.createElement("span");
  box.className = "select";
  box.append(input);
  return box;
}
