/** What goes over HTTP: the stream's description, the offer and its answer (WHIP, RFC 9725), the line before it. */

import { StreamError, problem } from "./errors.js";
import { standInLine } from "./queue.js";
import { put } from "./upload.js";
import { textOf } from "./widgets.js";

/** @typedef {import("./contract.js").Values} Values */
/** @typedef {import("./contract.js").Description} Description */
/** @typedef {import("./contract.js").QueueEvent} QueueEvent */

const REQUEST_MS = 20_000;
/** Of an attempt that is followed by others; the server itself may take 3 s to gather its candidates. */
const RETRY_MS = 10_000;
/** And until it says what it has, which takes no time: what has got lost is sent again after 1 s, then after 2 s more. */
const ASK_MS = 4_000;
const DELETE_MS = 2_000;
const BUSY_MS = 400;
const BUSY_TRIES = 8;
/** Of the values in an address: servers and proxies take a first line of 8 KB. */
const ADDRESS_BYTES = 6000;

export class Signaling {
  /** Whether another attempt follows one that fails. */
  retries = false;
  #base;
  headers;
  /** @type {Description | null} */
  #known = null;
  /** @type {Promise<Description> | null} */
  #asking = null;

  /**
   * @param {URL} base where the stream is mounted
   * @param {Record<string, string>} headers for every request
   */
  constructor(base, headers) {
    this.#base = base;
    this.headers = headers;
  }

  /** What the stream takes, gives and lets one set. Asked once, unless that failed. */
  async describe() {
    return this.#known ?? this.describeAnew();
  }

  /** The same as it is now; what was known stays, where the server does not answer. */
  async describeAnew() {
    this.#asking ??= this.#ask().finally(() => (this.#asking = null));
    return this.#asking;
  }

  /** The description with ICE servers that are good now: what is in it of passwords has an end. */
  async freshDescription() {
    const known = await this.describe();
    const lasts = !known.iceServersFailed && known.iceServers.every(({ credential }) => !credential);
    return lasts ? known : this.describeAnew();
  }

  /**
   * Resolves with a ticket when it is this page's turn.
   * @param {AbortSignal} signal
   * @param {(event: QueueEvent) => void} tell
   */
  standInLine(signal, tell) {
    return standInLine(new URL("queue", this.#base), this.headers, signal, tell);
  }

  /**
   * Not to be aborted: once the server has made a session, its address is needed to end it.
   * @param {string} sdp
   * @param {Values} values of the controls
   * @param {{ resume: string, ticket: string | null }} claims the session whose state it goes on with; the place in line
   */
  async offer(sdp, values, { resume, ticket }) {
    const url = new URL("session", this.#base);
    const late = overlong(values);
    for (const [name, value] of Object.entries(values)) {
      const text = textOf(value);
      if (text !== null && !(name in late)) url.searchParams.set(name, text);
    }
    const headers = {
      "Content-Type": "application/sdp",
      ...(resume && { "Rtcstream-Resume": resume }),
      ...(ticket && { "Rtcstream-Ticket": ticket }),
    };
    return new Resource(this, await this.fetch(url, { method: "POST", headers, body: sdp }));
  }

  /**
   * @param {URL | string} url
   * @param {RequestInit & { headers?: Record<string, string> }} init
   * @param {number} [retry] how many milliseconds it may take where another attempt follows
   */
  async fetch(url, init, retry = RETRY_MS) {
    const timeout = AbortSignal.timeout(this.retries ? retry : REQUEST_MS);
    const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    let response;
    try {
      response = await fetch(url, { ...init, headers: { ...this.headers, ...init.headers }, signal });
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw new StreamError("server-gone", `The server at ${this.#base.host} does not answer.`, { cause });
    }
    if (!response.ok) throw await problem(response);
    return response;
  }

  /** @param {string} location */
  async delete(location) {
    try {
      // keepalive: the request outlives the page.
      const signal = AbortSignal.timeout(DELETE_MS);
      await fetch(location, { method: "DELETE", headers: this.headers, keepalive: true, signal });
    } catch {
      // The server is gone, and the session with it; one that lives on misses our consent within 15 s (RFC 7675).
    }
  }

  /** @returns {Promise<Description>} */
  async #ask() {
    const response = await this.fetch(new URL("stream.json", this.#base), { cache: "no-cache" }, ASK_MS);
    const description = await response.json();
    if (description.version === 1) return (this.#known = description);
    throw new StreamError("version", `The server speaks version ${description.version} of rtcstream, this page `
      + "version 1: reload the page, or update rtcstream.js.");
  }
}

/** A session on the server, as HTTP knows it. */
export class Resource {
  #signaling;
  #response;
  #location;
  #etag;

  /**
   * @param {Signaling} signaling
   * @param {Response} response to the offer
   */
  constructor(signaling, response) {
    this.#signaling = signaling;
    this.#response = response;
    this.#location = new URL(response.headers.get("Location") ?? "", response.url).href;
    this.#etag = response.headers.get("ETag") ?? "";
  }

  /** By which another session goes on with the state of this one. */
  get id() {
    return decodeURIComponent(this.#location.slice(this.#location.lastIndexOf("/") + 1));
  }

  /** The answer's SDP, once. */
  answer() {
    return this.#response.text();
  }

  /**
   * @param {string} body candidates
   * @param {AbortSignal} signal
   */
  async trickle(body, signal) {
    const headers = {
      "Content-Type": "application/trickle-ice-sdpfrag",
      ...(this.#etag && { "If-Match": this.#etag }),
    };
    const response = await this.#signaling.fetch(this.#location, { method: "PATCH", headers, body, signal });
    this.#etag = response.headers.get("ETag") ?? this.#etag;
  }

  /**
   * @param {string} control
   * @param {File} file
   * @param {(share: number) => void} [progress] told how much of it has gone, from 0 to 1
   * @param {AbortSignal} [signal]
   */
  async upload(control, file, progress, signal) {
    const [where, name] = [control, file.name || "file"].map(encodeURIComponent);
    const url = `${this.#location}/file/${where}/${name}`;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await put(url, file, this.#signaling.headers, progress, signal);
      } catch (error) {
        // The server still notices the end of the one before it.
        const busy = error instanceof StreamError && error.status === 409;
        if (!busy || attempt === BUSY_TRIES || signal?.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
      }
    }
  }

  delete() {
    return this.#signaling.delete(this.#location);
  }
}

/**
 * The values that an address has no room for: they are set when the session has begun.
 * @param {Values} values
 */
export function overlong(values) {
  /** @type {Values} */
  const late = {};
  let room = ADDRESS_BYTES;
  for (const [name, value] of Object.entries(values)) {
    const { length } = String(new URLSearchParams([[name, textOf(value) ?? ""]]));
    if (length > room) late[name] = value;
    else room -= length;
  }
  return late;
}
