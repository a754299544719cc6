/** How old drawings are that lie over the live picture: from the camera to here. */

/** Results whose ways are compared. */
const MOST = 60;

export class Age {
  #chip = document.createElement("span");
  /** What is known of the way: there and back, and through the function, ms. */
  #way = { roundTrip: 0, function: 0 };
  /** When the last results came, by the clock of their frames; ms. @type {number[]} */
  #offsets = [];
  #first = 0;
  #timer = 0;

  /** @param {Element | null | undefined} caption of the picture, where it is said */
  constructor(caption) {
    this.#chip.className = "age";
    this.#chip.hidden = true;
    caption?.append(this.#chip);
  }

  /** @param {{ roundTrip?: number | null, function?: number | null }} measured milliseconds */
  measured({ roundTrip, function: call }) {
    this.#way = { roundTrip: roundTrip ?? this.#way.roundTrip, function: call ?? this.#way.function };
  }

  /**
   * A result of the frame with this RTP timestamp has come. The median of them has taken what is known of
   * the way, and one that came later by its frame's clock, so much more.
   * @param {number} pts
   */
  heard(pts) {
    const now = performance.now();
    if (!this.#offsets.length) this.#first = pts;
    const offset = now - ((pts - this.#first) | 0) / 90;
    this.#offsets.push(offset);
    if (this.#offsets.length > MOST) this.#offsets.shift();
    const median = this.#offsets.toSorted((one, other) => one - other)[this.#offsets.length >> 1];
    const age = Math.max(0, this.#way.roundTrip + this.#way.function + offset - median);
    this.#say(age);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#say(age + performance.now() - now), 100);
  }

  clear() {
    clearInterval(this.#timer);
    this.#offsets = [];
    this.#chip.hidden = true;
  }

  /** @param {number} age */
  #say(age) {
    this.#chip.hidden = false;
    this.#chip.textContent = `${Math.round(age / 10) * 10} ms old`;
    this.#chip.title = "How long ago the camera saw what is drawn";
  }
}
