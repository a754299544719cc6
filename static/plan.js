/** What a session is to be, also when it has to be begun again. */

/** @typedef {import("./contract.js").Values} Values */
/**
 * @typedef {object} StartOptions
 * @property {MediaStreamTrack[] | (() => Promise<MediaStreamTrack[]>)} [tracks] what to send, at most one of a kind; or
 *     what gets them, called when it is this page's turn, and again if they have ended when it has waited once more
 * @property {Values | (() => Values)} [values] the controls' first values, so that the very first frame already has
 *     them, but for texts too long for an address, which follow at once; or what gives them
 * @property {boolean} [watch] sends nothing, and sees what another sends (a shared stream's source)
 * @property {boolean} [reconnect] when the connection is lost later on, or the server starts again, it is made anew
 *     for two minutes (from when this computer is online), with the same tracks, the values that hold and the server's
 *     state of this session; `reconnecting` and `reconnected` tell of it. With `watch` it also waits for a source, as
 *     long as it takes, before the first and after each: `source` tells of that
 * @property {boolean} [queue] waits in line where the stream is full, telling of it by `queue` events; `stop()` leaves
 */

export class Plan {
  #tracks;
  /** Those of the tracks that are sent, once it has been this page's turn. @type {MediaStreamTrack[] | null} */
  #got;
  #values;
  /** What the controls are known to be. @type {Values} */
  #known = {};

  /** @param {StartOptions} [options] */
  constructor({ tracks = [], values = {}, watch = false, reconnect = false, queue = false } = {}) {
    this.#tracks = tracks;
    this.#got = typeof tracks === "function" ? null : [...tracks];
    this.#values = typeof values === "function" ? values : null;
    if (typeof values !== "function") this.#known = values;
    this.watch = watch;
    this.reconnect = reconnect;
    this.queue = queue;
  }

  /** Whether it waits for a source, where there is none. */
  get waits() {
    return this.watch && this.reconnect;
  }

  /** What the controls begin with. @returns {Values} */
  get values() {
    return this.#values ? this.#values() : this.#known;
  }

  /** What the server has said that they are. */
  set values(/** @type {Values} */ known) {
    this.#known = known;
  }

  /**
   * What is sent: what was sent before, unless it has ended, as a camera may while one waits.
   * @param {boolean} waited
   */
  async tracks(waited) {
    const got = this.#got;
    if (typeof this.#tracks !== "function") return got ?? this.#tracks;
    const keep = got && (got.length ? got.some(({ readyState }) => readyState === "live") : !waited);
    return keep ? got : (this.#got = await this.#tracks());
  }

  /** Sends this one instead, also in a session that is begun again. @param {MediaStreamTrack} track */
  replace(track) {
    if (this.#got) this.#got = [...this.#got.filter((each) => each.kind !== track.kind), track];
  }
}
