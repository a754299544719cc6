/** A conversation: what each of those who speak has said, as it grows. */

/** @typedef {{ type: "said", who: string, text: string }} Said */

/** @param {unknown} data @returns {data is Said | Said[]} */
export function isChat(data) {
  const all = Array.isArray(data) ? data : [data];
  return all.length > 0 && all.every((each) => each?.type === "said");
}

export class Chat {
  /** @type {{ who: string, item: HTMLElement, body: HTMLElement }[]} */
  #shown = [];
  #list;

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.#list = document.createElement("ol");
    this.#list.className = "chat";
    this.#list.role = "log"; // a screen reader says what is new in it
    this.#list.tabIndex = 0; // so that keys scroll it
    this.#list.ariaLabel = "Conversation";
    parent.append(this.#list);
  }

  /** All of it, in place of what was shown. @param {Said | Said[]} data */
  show(data) {
    const list = this.#list;
    const all = Array.isArray(data) ? data : [data];
    // It stays at its end, unless one reads further up.
    const end = list.scrollHeight - list.clientHeight - list.scrollTop < 8;
    while (this.#shown.length > all.length) this.#shown.pop()?.item.remove();
    all.forEach(({ who, text }, index) => {
      if (this.#shown[index] && this.#shown[index].who !== who) {
        for (const { item } of this.#shown.splice(index)) item.remove();
      }
      this.#shown[index] ??= this.#add(who);
      const { body } = this.#shown[index];
      const before = body.textContent ?? "";
      // Only what is new is added, so that only that is said.
      if (text.startsWith(before)) text !== before && body.append(text.slice(before.length));
      else body.textContent = text;
    });
    if (end) list.scrollTop = list.scrollHeight;
  }

  /** @param {string} who */
  #add(who) {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    const body = document.createElement("p");
    name.textContent = who;
    item.dataset.mine = String(who === "you");
    item.append(name, body);
    this.#list.append(item);
    return { who, item, body };
  }
}
