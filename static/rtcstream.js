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
 * It needs the seven files that it imports beside it, and contacts no host but the stream's own.
 */

import { StreamError, problem } from "./errors.js";
import { inStereo } from "./opus.js";
import { standInLine } from "./queue.js";
import { GIVE_UP_MS, Pause, isFinal, isPatient, isRestart, pauseBefore, sameStream, watchOver } from "./reconnect.js";
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
 *     what gets them, called when it is this page's turn, and again if they have ended when it has waited once more
 * @property {Values | (() => Values)} [values] the controls' first values, so that the very first frame already has
 *     them; or what gives them
 * @property {boolean} [watch] sends nothing, and sees what another sends (a shared stream's source)
 * @property {boolean} [reconnect] when the connection is lost later on, or the server starts again, it is made anew
 *     for two minutes, with the same tracks, the values that hold and the server's state of this session;
 *     `reconnecting` and `reconnected` tell of it
 * @property {boolean} [queue] waits in line where the stream is full, telling of it by `queue` events; `stop()` leaves
 */
/**
 * @typedef {object} Plan what the session is to be, also when it has to be begun again
 * @property {MediaStreamTrack[] | (() => Promise<MediaStreamTrack[]>)} tracks
 * @property {MediaStreamTrack[] | null} got those of the tracks that are sent, once it has been this page's turn
 * @property {() => Values} values
 * @property {boolean} watch
 * @property {boolean} reconnect
 * @property {boolean} queue
 */

const MESSAGE_TYPES = ["controls", "error", "result", "log", "state", "progress", "stats", "data", "time", "end"];
const MEDIA_PATH_MS = 10_000;
const REQUEST_MS = 20_000;
const RETRY_MS = 5_000; // of an attempt that is followed by others
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
  /** @type {Plan} */
  #plan = { tracks: [], got: [], values: () => ({}), watch: false, reconnect: false, queue: false };
  /** What the controls are known to be. @type {Values} */
  #values = {};
  /** Whether `start()` has succeeded, and no other attempt is under way. */
  #began = false;
  #pause = new Pause();
  /** When no other attempt is made. */
  #giveUp = 0;
  /** The session's id, by which another goes on with its state. */
  #id = "";
  /**
   * What was lost: to close it would be a goodbye, until the server knows that we come back, and would take the
   * last picture away.
   * @type {{ pc: RTCPeerConnection | null, location: string } | null}
   */
  #former = null;
  /** Tracks that end when others come; until then the last picture stays. @type {MediaStreamTrack[]} */
  #stale = [];
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
  async start({ tracks = [], values = {}, watch = false, reconnect = false, queue = false } = {}) {
    if (this.#session) throw new StreamError("started", "This stream has been started already: stop it first.");
    if (typeof RTCPeerConnection === "undefined") {
      throw new StreamError("unsupported", "This browser has no WebRTC, or it is switched off.");
    }
    this.#values = typeof values === "function" ? {} : values;
    const current = typeof values === "function" ? values : () => this.#values;
    const got = typeof tracks === "function" ? null : [...tracks];
    this.#plan = { tracks, got, values: current, watch, reconnect, queue };
    this.#id = "";
    const session = this.#open();
    try {
      await this.#admitted(session.signal);
      this.#began = true;
    } catch (error) {
      void this.#end(session, error, false);
      // What broke first is the reason; what stopping broke in turn is not.
      throw session.signal.reason;
    }
  }

  /** Tries now to reconnect, where it waits to. */
  reconnectNow() {
    this.#pause.cut();
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
    const { got } = this.#plan;
    if (got) this.#plan.got = [...got.filter((each) => each.kind !== track.kind), track];
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

  /** A new session, which ends with the page. */
  #open() {
    const session = (this.#session = new AbortController());
    addEventListener("pagehide", () => void this.stop(), { signal: session.signal });
    return session;
  }

  /**
   * Connects, when it is this page's turn.
   * @param {AbortSignal} signal
   */
  async #admitted(signal) {
    const { queue } = this.#plan;
    const description = await this.describe();
    signal.throwIfAborted();
    // Who was connected may still have the place.
    let wait = queue && description.limits.concurrency_limit !== null && !this.#id;
    for (;;) {
      const ticket = wait ? await this.#standInLine(signal) : null;
      const since = performance.now();
      const tracks = await this.#tracks(wait);
      signal.throwIfAborted();
      try {
        return await this.#connect(signal, tracks, ticket);
      } catch (error) {
        signal.throwIfAborted();
        const full = error instanceof StreamError && error.status === 503 && error.retryAfter;
        const fresh = ticket && performance.now() - since < FRESH_TICKET_MS;
        if (!queue || !full || fresh) throw error;
        this.#pc?.close();
        this.#pc = this.#channel = null;
        this.#trickle = [];
        wait = true;
      }
    }
  }

  /** @param {AbortSignal} signal */
  async #standInLine(signal) {
    const url = new URL("queue", this.#base);
    const since = performance.now();
    try {
      const ticket = await standInLine(url, this.#headers, signal, (event) => this.#emit("queue", event));
      this.#emit("queue", { position: 0, estimate: 0 });
      return ticket;
    } finally {
      this.#giveUp += performance.now() - since; // who stands in line has a server
    }
  }

  /**
   * What is sent: what was sent before, unless it has ended, as a camera may while one waits.
   * @param {boolean} waited
   */
  async #tracks(waited) {
    const plan = this.#plan;
    const { tracks, got } = plan;
    if (typeof tracks !== "function") return got ?? tracks;
    const keep = got && (got.length ? got.some(({ readyState }) => readyState === "live") : !waited);
    return keep ? got : (plan.got = await tracks());
  }

  /**
   * @param {AbortSignal} signal
   * @param {MediaStreamTrack[]} tracks
   * @param {string | null} ticket
   */
  async #connect(signal, tracks, ticket) {
    const { watch } = this.#plan;
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
    for (const [name, value] of Object.entries(this.#plan.values())) url.searchParams.set(name, String(value));
    // Not aborted by stop(): once the server has made a session, its address is needed to end it.
    const response = await this.#fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/sdp",
        ...(this.#id && { "Rtcstream-Resume": this.#id }),
        ...(ticket && { "Rtcstream-Ticket": ticket }),
      },
      body: pc.localDescription?.sdp,
    });
    const location = new URL(response.headers.get("Location") ?? "", response.url).href;
    if (signal.aborted) void this.#delete(location);
    signal.throwIfAborted();
    this.#location = location;
    this.#id = decodeURIComponent(location.slice(location.lastIndexOf("/") + 1));
    this.#former?.pc?.close();
    this.#former = null;
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
      for (const each of this.#stale.splice(0)) this.media.removeTrack(each);
      this.media.addTrack(track);
      this.#emit("track", track);
    }, { signal });
    pc.addEventListener("connectionstatechange", () => {
      this.#emit("connectionstatechange", pc.connectionState);
      if (pc.connectionState === "failed") this.#fail(signal, this.#channel?.readyState === "open"
        ? this.#connectionLost()
        : this.#noMediaPath());
    }, { signal });
    if (this.#plan.reconnect) watchOver(pc, signal, () => this.#began && this.#fail(signal, this.#connectionLost()));
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

  #connectionLost() {
    return new StreamError("connection-lost", "The connection to the server was lost.");
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
    const restarts = message.type === "end" && isRestart(message.reason) && this.#began && this.#plan.reconnect;
    if (restarts && this.#session) {
      this.#location = ""; // there is nothing left to delete
      this.#fail(this.#session.signal, new StreamError("channel-closed", "The server was stopped."));
      return;
    }
    if (["controls", "error"].includes(message.type) && !this.#settings?.hear(message)) return;
    if (message.type === "controls") this.#values = message.values;
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
   * Ends the session that `signal` belongs to, unless it has ended already; or begins another.
   * @param {AbortSignal} signal
   * @param {unknown} error
   */
  #fail(signal, error) {
    const session = this.#session;
    if (session?.signal !== signal) return;
    if (!this.#plan.reconnect) void this.#end(session, error, this.#channel?.readyState !== "connecting");
    else if (this.#began) void this.#reconnect(session, error);
    else session.abort(error); // who has made the attempt is told by its failing
  }

  /**
   * @param {AbortController} lost
   * @param {unknown} error
   */
  async #reconnect(lost, error) {
    const before = await this.#description;
    this.#giveUp = performance.now() + GIVE_UP_MS;
    let session = lost;
    for (let attempt = 1; this.#session === session; attempt += 1) {
      this.#leave(session, error);
      session = this.#open();
      const { signal } = session;
      const retryAfter = error instanceof StreamError ? 1000 * (error.retryAfter ?? 0) : 0;
      const left = Math.max(this.#giveUp - performance.now(), 0);
      const wait = Math.min(Math.max(pauseBefore(attempt), retryAfter), left);
      this.#emit("reconnecting", { attempt, wait, patient: isPatient(attempt), error });
      try {
        await this.#pause.wait(wait, signal);
        this.#description = null;
        sameStream(before, await this.describe());
        await this.#admitted(signal);
        this.#began = true;
        this.#emit("reconnected", { attempt });
        return;
      } catch (cause) {
        error = signal.aborted ? signal.reason : cause;
        this.#description ??= Promise.resolve(/** @type {Description} */ (before));
        if (isFinal(error) || performance.now() > this.#giveUp) return this.#end(session, error, true);
      }
    }
  }

  /**
   * Lets go of a connection, which the server may think is still there.
   * @param {AbortController} session
   * @param {unknown} error
   */
  #leave(session, error) {
    if (this.#pc?.remoteDescription) this.#former = { pc: this.#pc, location: this.#location };
    else this.#pc?.close();
    this.#stale = this.media.getTracks();
    this.#release(session, error);
  }

  /**
   * @param {AbortController} session
   * @param {unknown} error
   */
  #release(session, error) {
    this.#session = null;
    this.#began = false;
    session.abort(error);
    this.#pc = this.#channel = null;
    this.#location = this.#etag = "";
    this.#trickle = [];
    this.#settings?.end(/** @type {StreamError} */ (error));
    this.#settings = null;
    this.#run = 0;
    this.#sample = null;
  }

  /**
   * @param {AbortController} session
   * @param {unknown} error
   * @param {boolean} tell whether nobody awaits `start()`, who would get the error from there
   */
  async #end(session, error, tell) {
    if (this.#session !== session) return;
    const [pc, former, location] = [this.#pc, this.#former, this.#location || this.#former?.location];
    this.#release(session, error);
    this.#former = null;
    for (const track of this.media.getTracks()) this.media.removeTrack(track);
    if (tell) this.#emit("failure", error);
    this.#emit("connectionstatechange", "closed");
    // Asked to, the server ends the session in order; it would take a closed connection for a lost one.
    if (location) await this.#delete(location);
    pc?.close();
    former?.pc?.close();
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
    const timeout = AbortSignal.timeout(this.#id && !this.#began ? RETRY_MS : REQUEST_MS);
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
