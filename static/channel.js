/** The messages of one connection, on its data channels: those of the wire contract, version 1. */

import { StreamError } from "./errors.js";
import { Settings } from "./settings.js";

/** @typedef {import("./contract.js").Values} Values */
/** @typedef {import("./contract.js").ServerMessage} ServerMessage */

const TYPES = ["controls", "error", "result", "log", "state", "progress", "stats", "data", "time", "end"];

export class Channel {
  #reliable;
  #settings;
  #run = 0;

  /**
   * @param {RTCPeerConnection} pc
   * @param {AbortSignal} signal
   * @param {(message: ServerMessage) => void} hear called with all messages that still count
   */
  constructor(pc, signal, hear) {
    this.#reliable = pc.createDataChannel("rtcstream");
    const unreliable = pc.createDataChannel("rtcstream-set", { ordered: false, maxRetransmits: 0 });
    this.#settings = new Settings(unreliable, this.#reliable);
    const receive = (/** @type {MessageEvent} */ { data }) => {
      const message = JSON.parse(String(data));
      if (this.#counts(message)) hear(message);
    };
    for (const each of [this.#reliable, unreliable]) each.addEventListener("message", receive, { signal });
  }

  get isOpen() {
    return this.#reliable.readyState === "open";
  }

  /**
   * Resolves when messages can be sent; rejects when `signal` aborts.
   * @param {AbortSignal} signal
   * @param {() => void} closed called when the server ends it
   */
  async opened(signal, closed) {
    signal.throwIfAborted();
    this.#reliable.addEventListener("close", closed, { signal });
    if (this.isOpen) return;
    await new Promise((resolve, reject) => {
      this.#reliable.addEventListener("open", resolve, { signal });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }

  /** Resolves when the server has acknowledged them. @param {Values} values */
  set(values) {
    return this.#settings.set(values);
  }

  /** @param {{ type: "data" | "run" | "record" | "turn", [field: string]: unknown }} message */
  send(message) {
    this.#reliable.send(JSON.stringify(message));
  }

  /** @param {unknown} error what becomes of the changes that have no answer */
  end(error) {
    this.#settings.end(/** @type {StreamError} */ (error));
  }

  /** Whether nothing newer has come before it: channels overtake each other, and runs their results. @param {any} message */
  #counts(message) {
    if (message.type === "controls" || message.type === "error") return this.#settings.hear(message);
    if (message.type === "result") {
      if (message.run < this.#run) return false;
      this.#run = message.run;
    }
    return TYPES.includes(message.type);
  }
}
