/** Turns of speech: by voice, or by a button that is held. */

/** What is not the button, and has the keys for itself. */
const BUSY = "a, button, input, select, textarea, summary, video[controls], [tabindex], [contenteditable]";
/** The end of the last word is still on its way when the button is let go: milliseconds. */
const TAIL = 150;

export class Turns {
  #stream;
  #devices;
  #button;
  #handsFree;
  #live = false;
  #held = false;
  #tail = 0;

  /**
   * @param {(id: string) => any} find
   * @param {import("./rtcstream.js").RtcStream} stream
   * @param {import("./devices.js").Devices} devices
   */
  constructor(find, stream, devices) {
    this.#stream = stream;
    this.#devices = devices;
    this.#button = /** @type {HTMLButtonElement} */ (find("talk"));
    this.#handsFree = /** @type {HTMLInputElement} */ (find("hands-free"));
    this.#handsFree.addEventListener("change", () => this.#show());
    this.#listen();
  }

  /**
   * @param {import("./contract.js").Description} description
   * @param {HTMLElement} hint about what is played into the microphone
   */
  arrange({ take }, hint) {
    if (take?.kind !== "turns") return;
    this.#handsFree.checked = !take.pushToTalk;
    const choice = /** @type {HTMLElement} */ (this.#handsFree.parentElement);
    choice.hidden = take.pushToTalk ?? false;
    this.#gate();
    if (take.interrupts) {
      hint.lastChild?.replaceWith("Voice processing keeps the answer from interrupting itself: leave it on, or wear "
        + "headphones.");
    }
  }

  /** Whether there is a session that turns are for. @param {boolean} now */
  set live(/** @type {boolean} */ now) {
    this.#live = now;
    this.#show();
  }

  /** What is said where the answer will appear, if it is another than usual. @param {string} state */
  waiting(state) {
    return state === "listening" && this.#byButton ? "Hold the button, or the space bar, and speak" : null;
  }

  get #byButton() {
    return !this.#handsFree.checked;
  }

  #show() {
    this.#button.hidden = !this.#live || !this.#byButton;
    if (this.#button.hidden) this.#hold(false);
    this.#gate();
  }

  /** Nothing leaves the microphone while the button is not held. */
  #gate() {
    clearTimeout(this.#tail);
    this.#devices.silent = this.#byButton && !this.#held;
  }

  #listen() {
    const button = this.#button;
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      this.#hold(true);
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(type, () => this.#hold(false));
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long touch
    // A screen reader's or a voice's click cannot be held: one begins, the next ends.
    button.addEventListener("click", ({ detail }) => detail === 0 && this.#hold(!this.#held));
    for (const type of ["keydown", "keyup"]) {
      addEventListener(type, (event) => this.#press(/** @type {KeyboardEvent} */ (event)));
    }
    addEventListener("blur", () => this.#hold(false));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const target = /** @type {Element} */ (event.target);
    const ours = target === this.#button;
    if (this.#button.hidden || !(event.key === " " || (ours && event.key === "Enter"))) return;
    if (!ours && target.closest?.(BUSY)) return;
    event.preventDefault(); // no click, and the page does not scroll
    if (!event.repeat) this.#hold(event.type === "keydown");
  }

  /** @param {boolean} now */
  #hold(now) {
    if (now === this.#held || (now && this.#button.hidden)) return;
    this.#held = now;
    this.#button.setAttribute("aria-pressed", String(now));
    this.#button.querySelector("span")?.replaceChildren(now ? "Listening…" : "Hold to talk");
    clearTimeout(this.#tail);
    if (now) this.#gate();
    else this.#tail = setTimeout(() => this.#gate(), TAIL);
    try {
      if (this.#live) this.#stream.turn(now);
    } catch {
      // The connection is just closing: who is told so by it needs no turn.
    }
  }
}
