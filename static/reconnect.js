/** When a connection counts as silent, and as lost; whether to try another, and when. */

import { StreamError } from "./errors.js";

/** @typedef {import("./contract.js").Description} Description */

/** Milliseconds before the first attempts; the last counts for all that follow. */
const PAUSES = [500, 1000, 2000, 4000];
/** After so many milliseconds without a connection nothing more is tried. */
export const GIVE_UP_MS = 120_000;
/** The server says something once a second; what is lost of it comes again within another. */
const SILENT_MS = 3_000;
/** A network that drops out for a moment comes back by itself. */
const DISCONNECTED_MS = 2_000;
/** After the network has changed it does not: the connection was by the other one. */
const CHANGED_MS = 10_000;

/** What the server says when it ends and may be started again. */
const STOPPED = "the server stopped";
/** And when a shared stream has lost its source, and may have another. */
const SOURCE_LEFT = "the source has stopped";
/** Refusals that may be taken back: of HTTP, and those of a stream that has no source, or has one, just now. */
const FOR_NOW = [408, 409, 425, 429];

/** @param {number} attempt from 1 */
export const pauseBefore = (attempt) => PAUSES[Math.min(attempt, PAUSES.length) - 1];

/** Whether pauses get no longer. @param {number} attempt from 1 */
export const isPatient = (attempt) => attempt >= PAUSES.length;

/**
 * What a session that ends so goes on after, in another; null where that is the end.
 * @param {string} reason of the `end` message
 * @param {import("./plan.js").Plan} plan
 */
export function goesOn(reason, { reconnect, waits }) {
  if (reconnect && reason === STOPPED) return new StreamError("channel-closed", "The server was stopped.");
  return waits && reason === SOURCE_LEFT ? new StreamError("source-left", "Nobody is sending any more.") : null;
}

/** @param {unknown} error */
export const hasSourceLeft = (error) => error instanceof StreamError && error.code === "source-left";

/**
 * Whether a stream says that there is nothing to be seen, or, to who `waits` for that, that it is asked too often.
 * @param {unknown} error
 * @param {boolean} waits
 * @returns {error is StreamError}
 */
export function isEmpty(error, waits) {
  if (!(error instanceof StreamError) || !error.retryAfter) return false;
  return error.status === 409 || (waits && error.status === 429);
}

/** Whether another attempt would go the same way. @param {unknown} error */
export function isFinal(error) {
  if (!(error instanceof StreamError)) return true;
  if (error.code === "http") return Number(error.status) < 500 && !FOR_NOW.includes(Number(error.status));
  return !["server-gone", "no-media-path", "connection-lost", "channel-closed"].includes(error.code);
}

/**
 * Throws if the page, which was made for one stream, would not do for the other.
 * @param {Description | null} before
 * @param {Description} now
 */
export function sameStream(before, now) {
  const shape = (/** @type {Description} */ { name, inputs, outputs, controls, shared, take }) =>
    JSON.stringify([name, inputs, outputs, controls, shared, take]);
  if (!before || shape(before) === shape(now)) return;
  throw new StreamError("changed", "The program behind this page has changed.");
}

/**
 * Says when a server that is heard once a second falls silent, and when it is heard again. A browser takes twice as
 * long to notice that a connection has broken.
 */
export class Silence {
  #tell;
  #timer = 0;
  #silent = false;

  /**
   * @param {AbortSignal} signal until when
   * @param {(silent: boolean) => void} tell
   */
  constructor(signal, tell) {
    this.#tell = tell;
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  /** Something has come. */
  heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#become(true), SILENT_MS);
    this.#become(false);
  }

  /** @param {boolean} silent */
  #become(silent) {
    if (silent === this.#silent) return;
    this.#silent = silent;
    this.#tell(silent);
  }
}

/**
 * Calls `lost` when a connection that was there has broken.
 * @param {RTCPeerConnection} pc
 * @param {AbortSignal} signal until when
 * @param {() => void} lost
 */
export function watchOver(pc, signal, lost) {
  let timer = 0;
  let changed = -CHANGED_MS;
  const look = () => {
    clearTimeout(timer);
    if (signal.aborted || pc.connectionState !== "disconnected") return;
    timer = setTimeout(look.now, performance.now() - changed < CHANGED_MS ? 0 : DISCONNECTED_MS);
  };
  look.now = () => pc.connectionState === "disconnected" && !signal.aborted && lost();
  const change = () => {
    changed = performance.now();
    look();
  };
  pc.addEventListener("connectionstatechange", look, { signal });
  addEventListener("online", change, { signal });
  /** @type {any} */ (navigator).connection?.addEventListener("change", change, { signal });
}

/** The time between two attempts, which can be cut short. */
export class Pause {
  /** @type {(() => void) | null} */
  #end = null;
  /** Whether the next one is to be none, since there was none when it was cut. */
  #early = false;
  #cut = false;

  /** What was before does not count. */
  begin() {
    this.#early = this.#cut = false;
  }

  /** Whether any has been cut since this was asked last. */
  wasCut() {
    const cut = this.#cut;
    this.#cut = false;
    return cut;
  }

  /**
   * @param {number} milliseconds
   * @param {AbortSignal} signal makes it reject
   */
  async wait(milliseconds, signal) {
    signal.throwIfAborted();
    const over = new AbortController(); // or each wait of a long session would leave its listener there
    let timer = 0;
    try {
      await new Promise((resolve, reject) => {
        timer = setTimeout(resolve, this.#early ? 0 : milliseconds);
        this.#early = false;
        this.#end = () => resolve(null);
        signal.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
      });
    } finally {
      clearTimeout(timer);
      over.abort();
      this.#end = null;
    }
  }

  cut() {
    this.#cut = true;
    if (this.#end) this.#end();
    else this.#early = true;
  }
}
