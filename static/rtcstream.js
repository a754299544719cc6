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
 * It needs the files that it imports beside it, and contacts no host but the stream's own.
 */

import { StreamError } from "./errors.js";
import { Lifecycle } from "./lifecycle.js";
import { Plan } from "./plan.js";
import { Signaling } from "./signaling.js";

export { StreamError };

/** @typedef {import("./contract.js").Values} Values */
/** @typedef {import("./contract.js").Description} Description */
/** @typedef {import("./contract.js").ControlsMessage} ControlsMessage */
/** @typedef {import("./contract.js").StreamEvents} StreamEvents */

export class RtcStream extends EventTarget {
  /**
   * What the server sends, for a video element's `srcObject`. Empty until the first `track` event;
   * given to an element before, it would hold back the page's `load` event until then. Where speaking
   * interrupts the answer, its sound is not `enabled` while somebody speaks: to mute it, mute the element.
   */
  media = new MediaStream();

  #signaling;
  #life;

  /**
   * @param {string | URL} [base] where the stream is mounted; this page's own place unless given
   * @param {{ headers?: Record<string, string> }} [options] headers for every request (a token)
   */
  constructor(base = "./", { headers = {} } = {}) {
    super();
    this.#signaling = new Signaling(new URL(base, document.baseURI), headers);
    this.#life = new Lifecycle(this.#signaling, this.media, (type, detail) => {
      this.dispatchEvent(new CustomEvent(type, { detail }));
    });
  }

  get connectionState() {
    return this.#life.connection?.pc.connectionState ?? "closed";
  }

  /** The candidates that both sides have named in this session, or in the last one. */
  get candidates() {
    return this.#life.candidates;
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
    return this.#signaling.describe();
  }

  /**
   * Connects, and resolves when media can flow and controls can be set.
   * @param {import("./plan.js").StartOptions} [options]
   */
  async start(options) {
    if (typeof RTCPeerConnection === "undefined") {
      throw new StreamError("unsupported", "This browser has no WebRTC, or it is switched off.");
    }
    await this.#life.start(new Plan(options));
  }

  /** Tries now to reconnect, where it waits to. */
  reconnectNow() {
    this.#life.pause.cut();
  }

  /**
   * Sets controls and resolves with the server's acknowledgement, which carries all values.
   * Rejects with a `StreamError` of code `rejected`, and then nothing has changed. Newer values win:
   * those that they overtake share their acknowledgement.
   * @param {Values} values
   * @returns {Promise<ControlsMessage>}
   */
  async set(values) {
    return this.#channel.set(values);
  }

  /**
   * Gives a control of type `file` its file, and resolves with its name and size as the server has them.
   * @param {string} control
   * @param {File} file
   * @param {(share: number) => void} [progress] told how much of it has gone, from 0 to 1
   * @param {AbortSignal} [signal] of an end before that
   */
  async upload(control, file, progress, signal) {
    const resource = this.#channel && this.#life.connection?.resource;
    if (!resource) throw new StreamError("not-started", "The session has ended.");
    return resource.upload(control, file, progress, signal);
  }

  /**
   * Sends anything that JSON can say to the stream's function.
   * @param {unknown} data
   */
  send(data) {
    this.#channel.send({ type: "data", data });
  }

  /** Runs a stream without inputs once more, from its beginning. */
  run() {
    this.#channel.send({ type: "run" });
  }

  /** Begins a recording, or ends it and lets the function have it. @param {boolean} on */
  record(on) {
    this.#channel.send({ type: "record", on });
  }

  /** Begins a turn of speech, or ends it and lets the function answer: push to talk. @param {boolean} on */
  turn(on) {
    const channel = this.#channel;
    this.#life.hush.press(on); // at once, also where the word does not arrive
    channel.send({ type: "turn", on });
  }

  /**
   * Sends another track from now on, without a new session: another camera, say.
   * @param {MediaStreamTrack} track
   */
  async replaceTrack(track) {
    this.#life.plan.replace(track);
    const all = this.#life.connection?.pc.getTransceivers();
    await all?.find((each) => each.receiver.track.kind === track.kind)?.sender.replaceTrack(track);
  }

  /** Ends the session on both sides and releases everything; the tracks that were sent stay yours. */
  async stop() {
    await this.#life.stop();
  }

  /** What the browser measures, in short; bit rates since the last call. `null` while there is no session. */
  async getStats() {
    return this.#life.connection?.getStats() ?? null;
  }

  /** That of the session, if messages can be sent. */
  get #channel() {
    if (this.#life.connection?.channel.isOpen) return this.#life.connection.channel;
    throw new StreamError("not-started", "The stream is not connected: start it first.");
  }
}
