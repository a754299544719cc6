/** How old drawings are that lie over the live picture: from the camera to here. */

/** Results whose ways are compared. */
const MOST = 60;
/** What is said to be older, or from the future, was told by a clock that is not this one; ms. */
const LIKELY = 60_000;

export class Age {
  #chip = document.createElement("span");
  /** An RTP timestamp of the camera, and when that was by `Date.now()`. @type {[number, number] | null} */
  #clock = null;
  /** What is known of the way without that: there and back, and through the function, ms. */
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

  /** @param {{ roundTrip?: number | null, function?: number | null, clock?: [number, number] | null }} measured in ms */
  measured({ roundTrip, function: call, clock }) {
    this.#way = { roundTrip: roundTrip ?? this.#way.roundTrip, function: call ?? this.#way.function };
    this.#clock = clock ?? this.#clock;
  }

  /** A result of the frame with this RTP timestamp has come. @param {number} pts */
  heard(pts) {
    const now = performance.now();
    const estimated = this.#estimate(pts, now); // which has to hear of each
    const exact = this.#since(pts);
    if (exact === null && !this.#way.function) return; // nothing is known yet
    const age = exact ?? estimated;
    const words = exact === null ? "About how long ago the camera saw what is drawn" : "How long ago the camera saw what is drawn";
    this.#say(age, words);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#say(age + performance.now() - now, words), 100);
  }

  hide() {
    clearInterval(this.#timer);
    this.#chip.hidden = true;
  }

  /** The next session's camera has another clock. */
  clear() {
    this.hide();
    this.#offsets = [];
    this.#clock = null;
    this.#way.function = 0;
  }

  /**
   * By what the browser itself has told the server of its camera's clock (RTCP sender reports); null until the
   * first of them, or where its wall clock is not the page's.
   * @param {number} pts
   */
  #since(pts) {
    if (!this.#clock) return null;
    const [timestamp, captured] = this.#clock;
    const age = Date.now() - (captured + ((pts - timestamp) | 0) / 90);
    return age >= 0 && age < LIKELY ? age : null;
  }

  /**
   * The median of them has taken what is known of the way, and one that came later by its frame's clock, so much
   * more.
   * @param {number} pts
   * @param {number} now
   */
  #estimate(pts, now) {
    if (!this.#offsets.length) this.#first = pts;
    const offset = now - ((pts - this.#first) | 0) / 90;
    this.#offsets.push(offset);
    if (this.#offsets.length > MOST) this.#offsets.shift();
    const median = this.#offsets.toSorted((one, other) => one - other)[this.#offsets.length >> 1];
    return Math.max(0, this.#way.roundTrip + this.#way.function + offset - median);
  }

  /** @param {number} age @param {string} words what that is */
  #say(age, words) {
    this.#chip.hidden = false;
    this.#chip.textContent = `${Math.round(age / 10) * 10} ms old`;
    this.#chip.title = words;
  }
}
