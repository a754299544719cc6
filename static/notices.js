/** What the person should know: errors with advice, and what the server logs. */

const MOST = 6;
/** What has not been told for so long, while all went well, is past; and then it goes. Repeats are told each second; ms. */
const PAST_MS = 3_000;
const GONE_MS = 60_000;

/** @typedef {{ element: HTMLElement, told: number }} Item when it was told last, ms */

export class Notices {
  #list;
  /** By what they are about, so that a repeat changes its line. @type {Map<string, Item>} */
  #items = new Map();

  /** @param {HTMLElement} list a live region */
  constructor(list) {
    this.#list = list;
  }

  /**
   * @param {string} key a notice with the same key is replaced
   * @param {"info" | "warning" | "error"} level
   * @param {import("./words.js").Words} words
   */
  show(key, level, { title, text, details = [] }) {
    const body = this.#item(key, level);
    body.append(element("strong", title), element("p", text));
    if (!details.length) return;
    const more = element("div", "", "notice-details");
    for (const [heading, content] of details) {
      const part = document.createElement("div");
      part.append(element("h3", heading), element("pre", content));
      more.append(part);
    }
    body.append(more);
  }

  /** @param {import("./contract.js").LogMessage} message */
  log({ level, message, count = 1 }) {
    const key = `log ${level} ${message}`;
    const times = count > 1 ? `×${count}` : "";
    const known = this.#items.get(key);
    if (!known) {
      const parts = [element("code", message), element("span", times, "count"), element("span", "", "age")];
      return this.#item(key, level).append(...parts);
    }
    known.told = performance.now();
    delete known.element.dataset.past;
    known.element.querySelector(".count")?.replaceChildren(times);
    known.element.querySelector(".age")?.replaceChildren();
  }

  /**
   * Lets errors and warnings of the function grow old, once a second.
   * @param {boolean} well whether it does its work now
   */
  age(well) {
    for (const [key, { element, told }] of this.#items) {
      if (!/^(log (error|warning)|server)/.test(key)) continue;
      const age = performance.now() - told;
      if (age < PAST_MS || !(well || "past" in element.dataset)) continue;
      if (age > GONE_MS) this.remove(key);
      element.dataset.past = "";
      const tens = 10 * Math.floor(age / 10_000); // what changes each second draws the eye
      element.querySelector(".age")?.replaceChildren(tens ? `${tens} s ago` : "a moment ago");
    }
  }

  /** What was told last that is an error of the function's, or "". */
  get lastError() {
    const key = [...this.#items.keys()].findLast((each) => each.startsWith("log error "));
    return key?.slice("log error ".length) ?? "";
  }

  /** @param {string} key */
  remove(key) {
    this.#items.get(key)?.element.remove();
    this.#items.delete(key);
  }

  /** @param {RegExp} [keys] which ones */
  clear(keys = /./) {
    for (const key of [...this.#items.keys()]) if (keys.test(key)) this.remove(key);
  }

  /**
   * @param {string} key
   * @param {string} level
   * @returns {HTMLElement} what has its words
   */
  #item(key, level) {
    this.remove(key);
    const item = element("div", "", "notice");
    item.dataset.level = level;
    const body = element("div", "", "notice-body");
    const close = element("button", "×", "dismiss");
    close.setAttribute("aria-label", "Dismiss");
    close.addEventListener("click", () => this.remove(key));
    item.append(body, close);
    this.#items.set(key, { element: item, told: performance.now() });
    this.#list.prepend(item);
    const oldest = [...this.#items.keys()].slice(0, -MOST);
    for (const each of oldest) this.remove(each);
    return body;
  }
}

/**
 * @param {string} tag
 * @param {string} text
 * @param {string} [className]
 */
function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
