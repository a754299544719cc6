/** One peer connection to the stream, from its offer to its end. */

import { Channel } from "./channel.js";
import { StreamError } from "./errors.js";
import { inStereo } from "./opus.js";
import { sdpFragment } from "./sdpfrag.js";
import { summarize } from "./stats.js";

/** @typedef {import("./contract.js").Candidates} Candidates */
/** @typedef {import("./contract.js").Description} Description */
/**
 * @typedef {object} Events what is told of a connection
 * @property {(message: import("./contract.js").ServerMessage) => void} message
 * @property {(track: MediaStreamTrack) => void} track
 * @property {(state: RTCPeerConnectionState) => void} state
 * @property {(error: unknown) => void} failed
 */

const MEDIA_PATH_MS = 10_000;

export class Connection {
  /** On the server; null before it is known, and once it is gone. @type {import("./signaling.js").Resource | null} */
  resource = null;
  /** @type {Candidates} */
  candidates = { local: [], remote: [] };
  #signal;
  #events;
  #relayFailed;
  /** Candidates yet to be sent; `null` stands for the end of them. @type {(RTCIceCandidate | null)[]} */
  #trickle = [];
  #trickling = false;
  /** @type {import("./stats.js").Sample | null} */
  #sample = null;

  /**
   * @param {Description} description
   * @param {MediaStreamTrack[]} tracks what is sent
   * @param {boolean} watch without sending
   * @param {AbortSignal} signal of the session's end, after which nothing is told any more
   * @param {Events} events
   */
  constructor(description, tracks, watch, signal, events) {
    this.#signal = signal;
    this.#events = events;
    this.#relayFailed = description.iceServersFailed ?? false;
    this.pc = new RTCPeerConnection({ iceServers: description.iceServers, bundlePolicy: "max-bundle" });
    this.#listen();
    this.channel = new Channel(this.pc, signal, events.message);
    const streams = [new MediaStream(tracks)]; // of one stream, so that they stay together
    for (const kind of /** @type {const} */ (["video", "audio"])) {
      const sends = !watch && description.inputs.includes(kind);
      const receives = description.outputs.includes(kind);
      if (!sends && !receives) continue;
      const track = sends ? tracks.find((each) => each.kind === kind) : undefined;
      const direction = !sends ? "recvonly" : receives ? "sendrecv" : "sendonly";
      const { receiver } = this.pc.addTransceiver(track ?? kind, { direction, streams });
      if (receives) hurry(receiver);
    }
  }

  /** The SDP to be sent; the browser looks for candidates from now on. */
  async offer() {
    const offer = await this.pc.createOffer();
    await this.pc.setLocalDescription({ type: "offer", sdp: inStereo(offer.sdp ?? "") });
    return this.pc.localDescription?.sdp ?? "";
  }

  /**
   * Resolves when messages go both ways, and media can flow.
   * @param {import("./signaling.js").Resource} resource that the server has made of the offer
   */
  async open(resource) {
    this.resource = resource;
    void this.#sendCandidates();
    const sdp = await resource.answer();
    this.candidates.remote = [...sdp.matchAll(/^a=(candidate:.*?)\r?$/gm)].map((match) => match[1]);
    this.#signal.throwIfAborted();
    await this.pc.setRemoteDescription({ type: "answer", sdp: inStereo(sdp) });
    const timer = setTimeout(() => this.#events.failed(this.#noMediaPath()), MEDIA_PATH_MS);
    try {
      await this.channel.opened(this.#signal, () => {
        this.resource = null; // there is nothing left to delete
        this.#events.failed(new StreamError("channel-closed", "The server ended the session."));
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** What the browser measures, in short; bit rates since the last call. */
  async getStats() {
    const { summary, sample } = summarize(await this.pc.getStats(), this.#sample);
    this.#sample = sample;
    return summary;
  }

  lost() {
    return new StreamError("connection-lost", "The connection to the server was lost.");
  }

  #noMediaPath() {
    return new StreamError(
      "no-media-path",
      "The server answered, but no path for media was found within 10 seconds.",
      { candidates: this.candidates, relayFailed: this.#relayFailed },
    );
  }

  #listen() {
    const { pc } = this;
    const signal = this.#signal;
    pc.addEventListener("icecandidate", ({ candidate }) => {
      // An empty candidate ends one generation of them, and null follows it: RFC 8838, section 8.
      if (candidate?.candidate === "") return;
      if (candidate) this.candidates.local.push(candidate.candidate);
      this.#trickle.push(candidate);
      void this.#sendCandidates();
    }, { signal });
    pc.addEventListener("track", ({ track }) => this.#events.track(track), { signal });
    pc.addEventListener("connectionstatechange", () => {
      this.#events.state(pc.connectionState);
      if (pc.connectionState === "failed") {
        this.#events.failed(this.channel.isOpen ? this.lost() : this.#noMediaPath());
      }
    }, { signal });
  }

  /** One request at a time; what the browser finds meanwhile goes into the next. */
  async #sendCandidates() {
    if (this.#trickling) return;
    this.#trickling = true;
    try {
      while (this.resource && this.#trickle.length && !this.#signal.aborted) {
        const body = sdpFragment(this.pc.localDescription?.sdp ?? "", this.#trickle.splice(0));
        await this.resource.trickle(body, this.#signal);
      }
    } catch (error) {
      this.#events.failed(error);
    } finally {
      this.#trickling = false;
    }
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
