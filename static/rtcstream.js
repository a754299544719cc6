/**
 * One stream of an rtcstream server, for use in any page:
 *
 *     import { RtcStream } from "./static/rtcstream.js";
 *
 *     const camera = await navigator.mediaDevices.getUserMedia({ video: true });
 *     const stream = new RtcStream();
 *     stream.on("track", () => { video.srcObject = stream.media; });
 *     await stream.start({ tracks: camera.getTracks(), values: { mode: "edges" } });
 *     await stream.set({ strength: 4 });
 *     await stream.stop();
 *
 * It needs the six files that it imports beside it, and contacts no host but the stream's own.
 */

import { StreamError, problem } from "./errors.js";
import { inStereo } from "./opus.js";
import { standInLine } from "./queue.js";
import { sdpFragment } from "./sdpfrag.js";
import { Settings } from "./settings.js";
import { summarize } from "./stats.js";

export { StreamError };

/** @typedef {import("./contract.js").Values} Values */
/** @typedef {import("./contract.js").Description} Description */
/** @typedef {import("./contract.js").ControlsMessage} ControlsMessage */
/** @typedef {import("./contract.js").StreamEvents} StreamEvents */
/** @typedef {import("./contract.js").Candidates} Candidates */
/**
 * @typedef {object} StartOptions
 * @property {MediaStreamTrack[] | (() => Promise<MediaStreamTrack[]>)} [tracks] what to send, at most one of a kind; or
 *     what gets them, called when it is this page's turn, and again if it has to wait once more
 * @property {Values} [values] the controls' first values, so that the very first frame already has them
 * @property {boolean} [watch] sends nothing, and sees what another sends (a shared stream's source)
 * @property {boolean} [queue] waits in line where the stream is full, telling of it by `queue` events; `stop()` leaves
 */

const MESSAGE_TYPES = ["controls", "error", "result", "log", "state", "progress", "stats", "data", "time", "end"];
const MEDIA_PATH_MS = 10_000;
const REQUEST_MS = 20_000;
const DELETE_MS = 2_000;
/** A ticket that is older may have run out; a server that refuses a newer one means it. */
const FRESH_TICKET_MS = 10_000;

export class RtcStream extends EventTarget {
  /**
   * What the server sends, for a video element's `srcObject`. Empty until the first `track` event;
   * given to an element before, it would hold back the page's `load` event until then.
   */
  media = new MediaStream();

  #base;
  #headers;
  /** @type {Promise<Description> | null} */
  #description = null;
  /** There while there is a session; aborts with the reason when it ends. @type {AbortController | null} */
  #session = null;
  /** @type {RTCPeerConnection | null} */
  #pc = null;
  /** @type {RTCDataChannel | null} */
  #channel = null;
  /** @type {Settings | null} */
  #settings = null;
  #location = "";
  #etag = "";
  /** Candidates yet to be sent; `null` stands for the end of them. @type {(RTCIceCandidate | null)[]} */
  #trickle = [];
  #trickling = false;
  /** @type {Candidates} */
  #candidates = { local: [], remote: [] };
  #relayFailed = false;
  #run = 0;
  /** @type {import("./stats.js").Sample | null} */
  #sample = null;

  /**
   * @param {string | URL} [base] where the stream is mounted; this page's own place unless given
   * @param {{ headers?: Record<string, string> }} [options] headers for every request (a token)
   */
  constructor(base = "./", { headers = {} } = {}) {
    super();
    this.#base = new URL(base, document.baseURI);
    this.#headers = headers;
  }

  get connectionState() {
    return this.#pc?.connectionState ?? "closed";
  }

  /** The candidates that both sides have named in this session, or in the last one. */
  get candidates() {
    return this.#candidates;
  }

  /**
   * `addEventListener`, with types and without the event around the detail.
   * @template {keyof StreamEvents} K
   * @param {K} type
   * @param {(detail: StreamEvents[K]) => void} listener
   * @returns {() => void} takes the listener away again
   */
  on(type, listener) {
    const handler = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail);
    this.addEventListener(type, handler);
    return () => this.removeEventListener(type, handler);
  }

  /**
   * What the stream takes, gives and lets one set. Asked once, unless that failed.
   * @returns {Promise<Description>}
   */
  async describe() {
    this.#description ??= this.#fetchDescription();
    try {
      return await this.#description;
    } catch (error) {
      this.#description = null;
      throw error;
    }
  }

  /**
   * Connects, and resolves when media can flow and controls can be set.
   * @param {StartOptions} [options]
   */
  async start(options = {}) {
    if (this.#session) throw new StreamError("started", "This stream has been started already: stop it first.");
    if (typeof RTCPeerConnection === "undefined") {
      throw new StreamError("unsupported", "This browser has no WebRTC, or it is switched off.");
    }
    const session = (this.#session = new AbortController());
    addEventListener("pagehide", () => void this.stop(), { signal: session.signal });
    try {
      await this.#admitted(session.signal, options);
    } catch (error) {
      void this.#end(session, error, false);
      // What broke first is the reason; what stopping broke in turn is not.
      throw session.signal.reason;
    }
  }

  /**
   * Sets controls and resolves with the server's acknowledgement, which carries all values.
   * Rejects with a `StreamError` of code `rejected`, and then nothing has changed. Newer values win:
   * those that they overtake share their acknowledgement.
   * @param {Values} values
   * @returns {Promise<ControlsMessage>}
   */
  async set(values) {
    this.#openChannel();
    return /** @type {Settings} */ (this.#settings).set(values);
  }

  /**
   * Sends anything that JSON can say to the stream's function.
   * @param {unknown} data
   */
  send(data) {
    this.#openChannel().send(JSON.stringify({ type: "data", data }));
  }

  /** Runs a stream without inputs once more, from its beginning. */
  run() {
    this.#openChannel().send(JSON.stringify({ type: "run" }));
  }

  /** Begins a recording, or ends it and lets the function have it. @param {boolean} on */
  record(on) {
    this.#openChannel().send(JSON.stringify({ type: "record", on }));
  }

  /**
   * Sends another track from now on, without a new session: another camera, say.
   * @param {MediaStreamTrack} track
   */
  async replaceTrack(track) {
    const transceiver = this.#pc?.getTransceivers().find((each) => each.receiver.track.kind === track.kind);
    await transceiver?.sender.replaceTrack(track);
  }

  /** Ends the session on both sides and releases everything; the tracks that were sent stay yours. */
  async stop() {
    const session = this.#session;
    if (session) await this.#end(session, new StreamError("stopped", "The stream was stopped."), false);
  }

  /** What the browser measures, in short; bit rates since the last call. `null` while there is no session. */
  async getStats() {
    if (!this.#pc) return null;
    const now = summarize(await this.#pc.getStats(), this.#sample);
    this.#sample = now.sample;
    return now.summary;
  }

  /**
   * Connects, when it is this page's turn.
   * @param {AbortSignal} signal
   * @param {StartOptions} options
   */
  async #admitted(signal, { tracks = [], values = {}, watch = false, queue = false }) {
    const description = await this.describe();
    signal.throwIfAborted();
    let wait = queue && description.limits.concurrency_limit !== null;
    for (;;) {
      const ticket = wait ? await this.#standInLine(signal) : null;
      const since = performance.now();
      const got = typeof tracks === "function" ? await tracks() : tracks;
      signal.throwIfAborted();
      try {
        return await this.#connect(signal, got, values, watch, ticket);
      } catch (error) {
        signal.throwIfAborted();
        const full = error instanceof StreamError && error.status === 503 && error.retryAfter;
        const fresh = ticket && performance.now() - since < FRESH_TICKET_MS;
        if (!queue || !full || fresh) throw error;
        this.#pc?.close();
        this.#trickle = [];
        wait = true;
      }
    }
  }

  /** @param {AbortSignal} signal */
  async #standInLine(signal) {
    const url = new URL("queue", this.#base);
    const ticket = await standInLine(url, this.#headers, signal, (event) => this.#emit("queue", event));
    this.#emit("queue", { position: 0, estimate: 0 });
    return ticket;
  }

  /**
   * @param {AbortSignal} signal
   * @param {MediaStreamTrack[]} tracks
   * @param {Values} values
   * @param {boolean} watch
   * @param {string | null} ticket
   */
  async #connect(signal, tracks, values, watch, ticket) {
    const description = await this.#fresh();
    signal.throwIfAborted();
    this.#relayFailed = description.iceServersFailed ?? false;

    const pc = (this.#pc = new RTCPeerConnection({ iceServers: description.iceServers, bundlePolicy: "max-bundle" }));
    this.#candidates = { local: [], remote: [] };
    this.#listen(pc, signal);
    const channel = (this.#channel = pc.createDataChannel("rtcstream"));
    const unreliable = pc.createDataChannel("rtcstream-set", { ordered: false, maxRetransmits: 0 });
    this.#settings = new Settings(unreliable, channel);
    for (const each of [channel, unreliable]) {
      each.addEventListener("message", ({ data }) => this.#receive(data), { signal });
    }
    const streams = [new MediaStream(tracks)]; // of one stream, so that they stay together
    for (const kind of /** @type {const} */ (["video", "audio"])) {
      const sends = !watch && description.inputs.includes(kind);
      const receives = description.outputs.includes(kind);
      if (!sends && !receives) continue;
      const track = sends ? tracks.find((each) => each.kind === kind) : undefined;
      const direction = !sends ? "recvonly" : receives ? "sendrecv" : "sendonly";
      const { receiver } = pc.addTransceiver(track ?? kind, { direction, streams });
      if (receives) hurry(receiver);
    }

    const offer = await pc.createOffer();
    await pc.setLocalDescription({ type: "offer", sdp: inStereo(offer.sdp ?? "") });
    const url = new URL("session", this.#base);
    for (const [name, value] of Object.entries(values)) url.searchParams.set(name, String(value));
    // Not aborted by stop(): once the server has made a session, its address is needed to end it.
    const response = await this.#fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", ...(ticket ? { "Rtcstream-Ticket": ticket } : {}) },
      body: pc.localDescription?.sdp,
    });
    const location = new URL(response.headers.get("Location") ?? "", response.url).href;
    if (signal.aborted) void this.#delete(location);
    signal.throwIfAborted();
    this.#location = location;
    this.#etag = response.headers.get("ETag") ?? "";
    void this.#sendCandidates(signal);

    const sdp = await response.text();
    this.#candidates.remote = [...sdp.matchAll(/^a=(candidate:.*?)\r?$/gm)].map((match) => match[1]);
    signal.throwIfAborted();
    await pc.setRemoteDescription({ type: "answer", sdp: inStereo(sdp) });
    await this.#untilOpen(channel, signal);
  }

  /**
   * @param {RTCPeerConnection} pc
   * @param {AbortSignal} signal
   */
  #listen(pc, signal) {
    pc.addEventListener("icecandidate", ({ candidate }) => {
      // An empty candidate ends one generation of them, and null follows it: RFC 8838, section 8.
      if (candidate?.candidate === "") return;
      if (candidate) this.#candidates.local.push(candidate.candidate);
      this.#trickle.push(candidate);
      void this.#sendCandidates(signal);
    }, { signal });
    pc.addEventListener("track", ({ track }) => {
      this.media.addTrack(track);
      this.#emit("track", track);
    }, { signal });
    pc.addEventListener("connectionstatechange", () => {
      this.#emit("connectionstatechange", pc.connectionState);
      if (pc.connectionState === "failed") this.#fail(signal, this.#channel?.readyState === "open"
        ? new StreamError("connection-lost", "The connection to the server was lost.")
        : this.#noMediaPath());
    }, { signal });
  }

  /**
   * @param {RTCDataChannel} channel
   * @param {AbortSignal} signal
   */
  async #untilOpen(channel, signal) {
    signal.throwIfAborted();
    channel.addEventListener("close", () => {
      this.#location = ""; // there is nothing left to delete
      this.#fail(signal, new StreamError("channel-closed", "The server ended the session."));
    }, { signal });
    if (channel.readyState === "open") return;
    let timer;
    try {
      await new Promise((resolve, reject) => {
        channel.addEventListener("open", resolve, { signal });
        signal.addEventListener("abort", () => reject(signal.reason));
        timer = setTimeout(() => this.#fail(signal, this.#noMediaPath()), MEDIA_PATH_MS);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #noMediaPath() {
    return new StreamError(
      "no-media-path",
      "The server answered, but no path for media was found within 10 seconds.",
      { candidates: this.#candidates, relayFailed: this.#relayFailed },
    );
  }

  /** The description with servers that are good now: what is in it of passwords has an end. */
  async #fresh() {
    const known = await this.describe();
    if (!known.iceServersFailed && known.iceServers.every(({ credential }) => !credential)) return known;
    this.#description = null;
    return this.describe();
  }

  /** One request at a time; what the browser finds meanwhile goes into the next. @param {AbortSignal} signal */
  async #sendCandidates(signal) {
    if (this.#trickling || !this.#location) return;
    this.#trickling = true;
    try {
      while (this.#trickle.length && !signal.aborted) {
        const batch = this.#trickle.splice(0);
        /** @type {Record<string, string>} */
        const headers = { "Content-Type": "application/trickle-ice-sdpfrag" };
        if (this.#etag) headers["If-Match"] = this.#etag;
        const body = sdpFragment(this.#pc?.localDescription?.sdp ?? "", batch);
        const response = await this.#fetch(this.#location, { method: "PATCH", headers, body, signal });
        this.#etag = response.headers.get("ETag") ?? this.#etag;
      }
    } catch (error) {
      this.#fail(signal, error);
    } finally {
      this.#trickling = false;
    }
  }

  /** @param {unknown} text */
  #receive(text) {
    const message = JSON.parse(String(text));
    if (["controls", "error"].includes(message.type) && !this.#settings?.hear(message)) return;
    if (message.type === "result") {
      if (message.run < this.#run) return;
      this.#run = message.run;
    }
    if (MESSAGE_TYPES.includes(message.type)) this.#emit(message.type, message);
    if (message.type !== "end") return;
    this.#location = ""; // there is nothing left to delete
    void this.stop();
  }

  #openChannel() {
    if (this.#channel?.readyState === "open") return this.#channel;
    throw new StreamError("not-started", "The stream is not connected: start it first.");
  }

  /**
   * Ends the session that `signal` belongs to, unless it has ended already.
   * @param {AbortSignal} signal
   * @param {unknown} error
   */
  #fail(signal, error) {
    if (this.#session?.signal !== signal) return;
    void this.#end(this.#session, error, this.#channel?.readyState !== "connecting");
  }

  /**
   * @param {AbortController} session
   * @param {unknown} error
   * @param {boolean} tell whether nobody awaits `start()`, who would get the error from there
   */
  async #end(session, error, tell) {
    if (this.#session !== session) return;
    const [pc, location] = [this.#pc, this.#location];
    this.#session = null;
    session.abort(error);
    this.#pc = this.#channel = null;
    this.#location = this.#etag = "";
    this.#trickle = [];
    this.#settings?.end(/** @type {StreamError} */ (error));
    this.#settings = null;
    for (const track of this.media.getTracks()) this.media.removeTrack(track);
    this.#run = 0;
    this.#sample = null;
    if (tell) this.#emit("failure", error);
    this.#emit("connectionstatechange", "closed");
    // Asked to, the server ends the session in order; it would take a closed connection for a lost one.
    if (location) await this.#delete(location);
    pc?.close();
  }

  /** @param {string} location */
  async #delete(location) {
    try {
      // keepalive: the request outlives the page.
      const signal = AbortSignal.timeout(DELETE_MS);
      await fetch(location, { method: "DELETE", headers: this.#headers, keepalive: true, signal });
    } catch {
      // The server is gone, and the session with it; one that lives on misses our consent within 15 s (RFC 7675).
    }
  }

  async #fetchDescription() {
    const description = await (await this.#fetch(new URL("stream.json", this.#base), { cache: "no-cache" })).json();
    if (description.version === 1) return description;
    throw new StreamError("version", `The server speaks version ${description.version} of rtcstream, this page `
      + "version 1: reload the page, or update rtcstream.js.");
  }

  /**
   * @param {URL | string} url
   * @param {RequestInit} init
   */
  async #fetch(url, init) {
    const timeout = AbortSignal.timeout(REQUEST_MS);
    const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    const headers = { ...this.#headers, .../** @type {Record<string, string>} */ (init.headers) };
    let response;
    try {
      response = await fetch(url, { ...init, headers, signal });
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw new StreamError("server-gone", `The server at ${this.#base.host} does not answer.`, { cause });
    }
    if (!response.ok) throw await problem(response);
    return response;
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Asks for the least delay; without, Chromium holds media back for longer than the network needs.
 * @param {RTCRtpReceiver} receiver
 */
function hurry(receiver) {
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
  else if ("playoutDelayHint" in receiver) /** @type {any} */ (receiver).playoutDelayHint = 0;
}
