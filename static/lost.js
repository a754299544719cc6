/** What the page says while a connection that was lost is made again. */

import { RECONNECTING } from "./words.js";

export class Lost {
  #box;
  #title;
  #text;
  #now;

  /**
   * @param {(id: string) => any} find
   * @param {() => void} now tries at once
   */
  constructor(find, now) {
    this.#box = /** @type {HTMLElement} */ (find("reconnecting"));
    this.#title = /** @type {HTMLElement} */ (find("reconnecting-title"));
    this.#text = /** @type {HTMLElement} */ (find("reconnecting-text"));
    this.#now = /** @type {HTMLButtonElement} */ (find("reconnect-now"));
    this.#now.addEventListener("click", now);
  }

  get shown() {
    return !this.#box.hidden;
  }

  /** @param {import("./contract.js").Reconnecting} attempt */
  show({ patient }) {
    const { title, text } = patient ? RECONNECTING.again : RECONNECTING.lost;
    this.#box.hidden = false;
    this.#now.hidden = !patient;
    if (this.#title.textContent === title) return; // or else it would be read out each time
    this.#title.textContent = title;
    this.#text.textContent = text;
  }

  hide() {
    this.#box.hidden = true;
    this.#title.textContent = this.#text.textContent = "";
  }
}
