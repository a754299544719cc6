/** What the page says while a connection that was lost is made again, or this computer has no network. */

import { RECONNECTING } from "./words.js";

export class Lost {
  #box;
  #title;
  #text;
  #now;
  #bar;
  #patient = false;

  /**
   * @param {(id: string) => any} find
   * @param {import("./bar.js").Bar} bar
   * @param {() => void} now tries at once
   */
  constructor(find, bar, now) {
    this.#box = /** @type {HTMLElement} */ (find("reconnecting"));
    this.#title = /** @type {HTMLElement} */ (find("reconnecting-title"));
    this.#text = /** @type {HTMLElement} */ (find("reconnecting-text"));
    this.#now = /** @type {HTMLButtonElement} */ (find("reconnect-now"));
    this.#bar = bar;
    this.#now.addEventListener("click", now);
    for (const change of ["online", "offline"]) addEventListener(change, () => this.shown && this.#say());
  }

  get shown() {
    return !this.#box.hidden;
  }

  /** @param {import("./contract.js").Reconnecting} attempt */
  show({ patient }) {
    this.#box.hidden = false;
    this.#patient = patient;
    this.#say();
  }

  hide() {
    this.#box.hidden = true;
    this.#title.textContent = this.#text.textContent = "";
  }

  #say() {
    const offline = !navigator.onLine;
    const { title, text } = RECONNECTING[offline ? "offline" : this.#patient ? "again" : "lost"];
    this.#bar.showStatus(offline ? "offline" : "disconnected");
    this.#now.hidden = offline || !this.#patient;
    if (this.#title.textContent === title) return; // or else it would be read out each time
    this.#title.textContent = title;
    this.#text.textContent = text;
  }
}
