/** The small live readout: what the browser and the server measure, once a second. */

/** @typedef {import("./contract.js").StatsMessage} StatsMessage */
/** @typedef {Awaited<ReturnType<import("./rtcstream.js").RtcStream["getStats"]>>} Measured */

/** @type {Record<string, [label: string, read: (browser: Measured, server: StatsMessage | null) => string | null]>} */
const FIGURES = {
  fps: ["Frames", (browser, server) => unit(browser?.fps ?? server?.fps_out, "fps")],
  roundTrip: ["Round trip", (browser) => unit(browser?.roundTrip, "ms")],
  bitrate: ["Bitrate", (browser) => rate(browser?.bitrateReceived ?? browser?.bitrateSent)],
  function: ["Function", (_, server) => unit(server?.function_ms, "ms", 1)],
  dropped: ["Dropped", (_, server) => unit(server?.dropped, "")],
  size: ["Size", (browser) => (browser?.width ? `${browser.width} × ${browser.height}` : null)],
};

/** Figures of pictures. */
const PICTURE = ["fps", "size"];

/** The server says its own once a second; what it said longer ago than this holds no more, ms. */
const STALE = 4000;

export class Readout {
  /** @type {Map<string, HTMLElement>} */
  #values = new Map();
  /** @type {StatsMessage | null} */
  #server = null;
  #heard = 0;
  #timer = 0;

  /** @param {HTMLElement} list a `dl` */
  constructor(list) {
    for (const [key, [label]] of Object.entries(FIGURES)) {
      const item = document.createElement("div");
      const term = document.createElement("dt");
      const value = document.createElement("dd");
      term.textContent = label;
      value.dataset.figure = key;
      item.append(term, value);
      list.append(item);
      this.#values.set(key, value);
    }
    this.#write(null);
  }

  /**
   * Leaves out what a stream cannot have.
   * @param {import("./contract.js").Description} description
   */
  arrange({ inputs, outputs }) {
    const media = [...inputs, ...outputs].filter((kind) => kind !== "data");
    for (const [key, value] of this.#values) {
      const needed = key === "bitrate" ? media.length > 0 : media.includes("video") || !PICTURE.includes(key);
      /** @type {HTMLElement} */ (value.parentElement).hidden = !needed;
    }
  }

  /** @param {StatsMessage} stats */
  hear(stats) {
    this.#server = stats;
    this.#heard = performance.now();
  }

  /** @param {() => Promise<Measured>} measure */
  start(measure) {
    this.stop();
    this.#timer = setInterval(async () => this.#write(await measure()), 1000);
  }

  stop() {
    clearInterval(this.#timer);
    this.#server = null;
    this.#write(null);
  }

  /** @param {Measured} browser */
  #write(browser) {
    const server = performance.now() - this.#heard < STALE ? this.#server : null;
    for (const [key, value] of this.#values) value.textContent = FIGURES[key][1](browser, server) ?? "–";
  }
}

/**
 * @param {number | null | undefined} value
 * @param {string} name
 * @param {number} [digits]
 */
function unit(value, name, digits = 0) {
  return value == null ? null : `${value.toFixed(digits)} ${name}`.trim();
}

/** @param {number | null | undefined} bits a second */
function rate(bits) {
  if (bits == null) return null;
  return bits < 1e6 ? `${Math.round(bits / 1e3)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`;
}
