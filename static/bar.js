/** The bar over the page: how the connection is, how much time is left, who has signed in. */

/** What the connection's state is called here. @type {Record<string, string>} */
const STATUS = {
  idle: "Ready",
  camera: "Waiting for the camera", // or whatever it waits for
  new: "Connecting",
  connecting: "Connecting",
  source: "Waiting for a source",
  queue: "Waiting in line",
  connected: "Connected",
  silent: "Interrupted",
  offline: "Offline",
  disconnected: "Reconnecting",
  failed: "Disconnected",
  closed: "Ready",
  unloaded: "Failed to load",
};

export class Bar {
  /** What is asked for first. */
  inputs = "camera";
  #status;
  #remaining;
  #countdown;
  #visitor;

  /** @param {(id: string) => any} find */
  constructor(find) {
    this.#status = /** @type {HTMLElement} */ (find("status"));
    this.#remaining = /** @type {HTMLElement} */ (find("remaining"));
    this.#countdown = /** @type {HTMLProgressElement} */ (find("countdown"));
    this.#visitor = /** @type {HTMLAnchorElement} */ (find("signed-in"));
  }

  /**
   * @param {string} state a key of `STATUS`
   * @param {string} [words] what is said instead
   */
  showStatus(state, words = state === "camera" ? `Waiting for the ${this.inputs}` : STATUS[state]) {
    if (this.#status.textContent !== words) this.#status.textContent = words;
    this.#status.dataset.state = state;
  }

  /**
   * @param {number | null} remaining seconds; null where there is no session
   * @param {number | null} [limit] of how many
   */
  showTime(remaining, limit) {
    this.#remaining.hidden = this.#countdown.hidden = remaining === null;
    if (remaining === null) return;
    this.#countdown.max = limit ?? remaining;
    this.#countdown.value = remaining;
    this.#remaining.textContent = `${Math.ceil(remaining)} s left`;
  }

  /** Who has signed in, with the way out. @param {import("./contract.js").Description["signedIn"]} visitor */
  showVisitor(visitor) {
    this.#visitor.hidden = !visitor;
    if (!visitor) return;
    this.#visitor.href = visitor.url;
    this.#visitor.textContent = "Sign out";
    this.#visitor.title = `Signed in as ${visitor.identity}`;
  }
}
