/** Values on their way to the server. What gets lost is sent again, and holds nothing newer up. */

import { StreamError } from "./errors.js";

/** @typedef {import("./contract.js").Values} Values */
/** @typedef {import("./contract.js").ControlsMessage} ControlsMessage */
/** @typedef {import("./contract.js").ErrorMessage} ErrorMessage */
/**
 * @typedef {object} Change which the server has not answered
 * @property {string} text the message
 * @property {Set<string>} names of the controls that it sets and no answered newer one has set
 * @property {number} timer until it is sent again
 * @property {(message: ControlsMessage) => void} resolve
 * @property {(error: StreamError) => void} reject
 */

/** After so many milliseconds without an answer a change is sent again; then after twice as many. */
const FIRST_PAUSE = 60;
const LONGEST_PAUSE = 500;
/** Changes without an answer. */
const MOST = 64;
/** Bytes that may wait for the network; then a change waits here, where a newer one overtakes it. */
const ROOM = 16_384;
/** Bytes of a message that the server reads; what is larger it cannot tell of which control it is. */
const LARGEST = 65_536;

export class Settings {
  /** By their numbers, which grow. @type {Map<number, Change>} */
  #unanswered = new Map();
  #seq = 0;
  #revision = -1;
  #unreliable;
  #reliable;

  /**
   * @param {RTCDataChannel} unreliable used while it is open
   * @param {RTCDataChannel} reliable used otherwise
   */
  constructor(unreliable, reliable) {
    this.#unreliable = unreliable;
    this.#reliable = reliable;
  }

  /**
   * Resolves with the answer to this change, or to newer ones of the same controls.
   * @param {Values} values
   * @returns {Promise<ControlsMessage>}
   */
  set(values) {
    const seq = ++this.#seq;
    const text = JSON.stringify({ type: "set", seq, values });
    if (new TextEncoder().encode(text).length > LARGEST) {
      return Promise.reject(new StreamError("rejected", "This is too long to be sent: a text may have 10,000 characters."));
    }
    return new Promise((resolve, reject) => {
      const change = { text, names: new Set(Object.keys(values)), timer: 0, resolve, reject };
      this.#unanswered.set(seq, change);
      this.#send(change);
      this.#repeat(seq, change, FIRST_PAUSE);
      if (this.#unanswered.size > MOST) this.#giveUp();
    });
  }

  /**
   * An answer, or somebody else's change.
   * @param {ControlsMessage | ErrorMessage} message
   * @returns {boolean} false for values that have changed since: answers overtake each other
   */
  hear(message) {
    const change = message.seq === null ? undefined : this.#take(message.seq);
    if (message.type === "error") {
      change?.reject(new StreamError("rejected", message.message, { control: message.control }));
      return true;
    }
    change?.resolve(message);
    for (const [seq, { names }] of this.#unanswered) {
      if (!change || seq > Number(message.seq)) break;
      for (const name of change.names) names.delete(name);
      if (!names.size) this.#take(seq)?.resolve(message);
    }
    if (message.revision < this.#revision) return false;
    this.#revision = message.revision;
    return true;
  }

  /** @param {StreamError} error what becomes of the changes without an answer */
  end(error) {
    for (const seq of this.#unanswered.keys()) this.#take(seq)?.reject(error);
  }

  /** @param {Change} change */
  #send({ text }) {
    const { readyState, bufferedAmount } = this.#unreliable;
    if (readyState !== "open") this.#reliable.send(text);
    else if (bufferedAmount < ROOM) this.#unreliable.send(text);
  }

  /**
   * @param {number} seq
   * @param {Change} change
   * @param {number} pause
   */
  #repeat(seq, change, pause) {
    change.timer = setTimeout(() => {
      if (this.#unreliable.readyState === "open" && !this.#isOvertaken(seq, change)) this.#send(change);
      this.#repeat(seq, change, Math.min(2 * pause, LONGEST_PAUSE));
    }, pause);
  }

  /**
   * Whether newer changes set all that it sets; but should those be rejected, it counts again.
   * @param {number} seq
   * @param {Change} change
   */
  #isOvertaken(seq, { names }) {
    const newer = new Set([...this.#unanswered].flatMap(([other, change]) => (other > seq ? [...change.names] : [])));
    return names.size > 0 && [...names].every((name) => newer.has(name));
  }

  #giveUp() {
    const all = [...this.#unanswered];
    const [seq] = all.find(([seq, change]) => this.#isOvertaken(seq, change)) ?? all[0];
    const words = `The server has answered none of the last ${MOST} changes: this one was given up.`;
    this.#take(seq)?.reject(new StreamError("unanswered", words));
  }

  /** @param {number} seq */
  #take(seq) {
    const change = this.#unanswered.get(seq);
    clearTimeout(change?.timer);
    this.#unanswered.delete(seq);
    return change;
  }
}
