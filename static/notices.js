/** What the person should know: errors with advice, and what the server logs. */

const MOST = 6;

export class Notices {
  #list;
  /** By what they are about, so that a repeat changes its line. @type {Map<string, HTMLElement>} */
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
    const item = this.#item(key, level);
    item.body.replaceChildren(element("strong", title), element("p", text));
    if (!details.length) return;
    const more = element("div", "", "notice-details");
    for (const [heading, content] of details) {
      const part = document.createElement("div");
      part.append(element("h3", heading), element("pre", content));
      more.append(part);
    }
    item.body.append(more);
  }

  /** @param {import("./contract.js").LogMessage} message */
  log({ level, message, count = 1 }) {
    const key = `log ${level} ${message}`;
    const known = this.#items.get(key)?.querySelector(".count");
    const times = count > 1 ? `×${count}` : "";
    if (known) known.textContent = times;
    else this.#item(key, level).body.append(element("code", message), element("span", times, "count"));
  }

  /** @param {string} key */
  remove(key) {
    this.#items.get(key)?.remove();
    this.#items.delete(key);
  }

  /** @param {RegExp} [keys] which ones */
  clear(keys = /./) {
    for (const key of [...this.#items.keys()]) if (keys.test(key)) this.remove(key);
  }

  /**
   * @param {string} key
   * @param {string} level
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
    this.#items.set(key, item);
    this.#list.prepend(item);
    const oldest = [...this.#items.keys()].slice(0, -MOST);
    for (const each of oldest) this.remove(each);
    return { body };
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
