/** A stream's session from start to stop: its turn, its connection, and others in its place when that breaks. */

import { Connection } from "./connection.js";
import { StreamError } from "./errors.js";
import { Hush } from "./hush.js";
import { Plan } from "./plan.js";
import { GIVE_UP_MS, Pause, Silence } from "./reconnect.js";
import { goesOn, hasSourceLeft, isEmpty, isFinal, isPatient, pauseBefore, sameStream, watchOver } from "./reconnect.js";
import { firstFrame } from "./frames.js";
import { overlong } from "./signaling.js";

/** @typedef {import("./contract.js").ServerMessage} ServerMessage */

/** A ticket that is older may have run out; a server that refuses a newer one means it. */
const FRESH_TICKET_MS = 10_000;

export class Lifecycle {
  plan = new Plan();
  pause = new Pause();
  hush;
  /** @type {Connection | null} */
  connection = null;
  /** Those of this session, or of the last one. @type {import("./contract.js").Candidates} */
  candidates = { local: [], remote: [] };
  #signaling;
  #media;
  #emit;
  /** There while there is a session; aborts with the reason when it ends. @type {AbortController | null} */
  #session = null;
  /** Whether `start()` has succeeded, and no other attempt is under way. */
  #began = false;
  /** When no other attempt is made. */
  #giveUp = 0;
  /** Whether this page has been told that there is nothing to be seen, and waits for it. */
  #waits = false;
  /** Whether there was something, since `start()`. */
  #seen = false;
  /** The session's id, by which another goes on with its state. */
  #id = "";
  /** What was lost: to close it would be a goodbye, until the server knows that we come back. @type {Connection | null} */
  #former = null;
  /** Whose last picture stays until another has one: to close it would take the picture away. @type {Connection | null} */
  #fading = null;
  /** Tracks that end when others of their kind have something to show. @type {MediaStreamTrack[]} */
  #stale = [];

  /**
   * @param {import("./signaling.js").Signaling} signaling
   * @param {MediaStream} media has what the server sends
   * @param {(type: keyof import("./contract.js").StreamEvents, detail: unknown) => void} emit
   */
  constructor(signaling, media, emit) {
    this.#signaling = signaling;
    this.#media = media;
    this.hush = new Hush(media);
    this.#emit = emit;
  }

  /** Resolves when media can flow and controls can be set. @param {Plan} plan */
  async start(plan) {
    if (this.#session) throw new StreamError("started", "This stream has been started already: stop it first.");
    this.plan = plan;
    this.#id = "";
    this.#waits = this.#seen = false;
    const session = this.#open();
    try {
      await this.#admitted(session.signal);
    } catch (error) {
      // Who has been told to wait goes on waiting, as after a loss.
      if (this.#waits && !isFinal(error) && this.#session === session) return this.#reconnect(session, error, false);
      void this.#end(session, error, false);
      // What broke first is the reason; what stopping broke in turn is not.
      throw session.signal.reason;
    }
  }

  async stop() {
    const session = this.#session;
    if (session) await this.#end(session, new StreamError("stopped", "The stream was stopped."), false);
  }

  /** A new session, which ends with the page. */
  #open() {
    const session = (this.#session = new AbortController());
    addEventListener("pagehide", () => void this.stop(), { signal: session.signal });
    addEventListener("online", () => this.pause.cut(), { signal: session.signal });
    return session;
  }

  /**
   * Connects, when it is this page's turn.
   * @param {AbortSignal} signal
   */
  async #admitted(signal) {
    const { queue } = this.plan;
    const description = await this.#signaling.describe();
    signal.throwIfAborted();
    // Who was connected may still have the place.
    let wait = queue && description.limits.concurrency_limit !== null && !this.#id;
    this.#waits = false;
    for (;;) {
      const ticket = wait ? await this.#standInLine(signal) : null;
      const since = performance.now();
      const tracks = await this.plan.tracks(wait);
      signal.throwIfAborted();
      try {
        await this.#connect(signal, tracks, ticket);
        this.#began = this.#seen = true;
        this.#signaling.retries = false;
        return;
      } catch (error) {
        signal.throwIfAborted();
        const full = error instanceof StreamError && error.status === 503 && error.retryAfter;
        const fresh = ticket && performance.now() - since < FRESH_TICKET_MS;
        const empty = this.plan.waits && isEmpty(error, this.#waits);
        if (!empty && (!queue || !full || fresh)) throw error;
        this.connection?.pc.close();
        this.connection = null;
        if (empty) await this.#awaitSource(signal, error.retryAfter ?? 0);
        else wait = true;
      }
    }
  }

  /**
   * There is nothing to be seen yet, which may last; to ask whether there is now costs a server less than an offer.
   * @param {AbortSignal} signal
   * @param {number} seconds
   */
  async #awaitSource(signal, seconds) {
    if (!this.#waits) this.#emit("source", { ended: this.#seen });
    this.#waits = true;
    const before = await this.#signaling.describe();
    let now;
    do {
      await this.pause.wait(1000 * seconds, signal);
      this.#giveUp = performance.now() + GIVE_UP_MS; // who is told to wait has a server
      sameStream(before, (now = await this.#signaling.describeAnew()));
    } while (now.source === false);
  }

  /** @param {AbortSignal} signal */
  async #standInLine(signal) {
    const since = performance.now();
    try {
      const ticket = await this.#signaling.standInLine(signal, (event) => this.#emit("queue", event));
      this.#emit("queue", { position: 0, estimate: 0 });
      return ticket;
    } finally {
      this.#giveUp += performance.now() - since; // who stands in line has a server
    }
  }

  /**
   * @param {AbortSignal} signal
   * @param {MediaStreamTrack[]} tracks
   * @param {string | null} ticket
   */
  async #connect(signal, tracks, ticket) {
    const description = await this.#signaling.freshDescription();
    signal.throwIfAborted();
    this.hush.interrupts = description.take?.interrupts ?? false;
    const silence = new Silence(signal, (silent) => this.#emit("silence", { silent }));
    const connection = (this.connection = new Connection(description, tracks, this.plan.watch, signal, {
      message: (message) => {
        silence.heard();
        this.#receive(message, signal);
      },
      track: (track) => void this.#show(track, signal),
      state: (state) => this.#emit("connectionstatechange", state),
      failed: (error) => this.#fail(signal, error),
    }));
    this.candidates = connection.candidates;
    if (this.plan.reconnect) {
      watchOver(connection.pc, signal, () => this.#began && this.#fail(signal, connection.lost()));
    }
    const sdp = await connection.offer();
    const { values } = this.plan;
    const resource = await this.#signaling.offer(sdp, values, { resume: this.#id, ticket });
    if (signal.aborted) void resource.delete();
    signal.throwIfAborted();
    this.#id = resource.id;
    this.#discard(this.#former);
    this.#former = null;
    await connection.open(resource);
    const late = overlong(values);
    // A session that ends meanwhile tells so by itself.
    if (Object.keys(late).length) connection.channel.set(late).catch(() => {});
  }

  /** Closes what the server does not miss, unless its last picture is on screen. @param {Connection | null} connection */
  #discard(connection) {
    const shown = this.#media.getVideoTracks();
    if (connection?.pc.getReceivers().some(({ track }) => shown.includes(track))) this.#fading = connection;
    else connection?.pc.close();
  }

  /**
   * In place of one of its kind, but a picture not before there is one.
   * @param {MediaStreamTrack} track
   * @param {AbortSignal} signal
   */
  async #show(track, signal) {
    if (track.kind === "video" && this.#stale.some(({ kind }) => kind === "video")) {
      await firstFrame(track, signal).catch(() => {});
      if (signal.aborted) return;
    }
    for (const each of this.#stale.filter(({ kind }) => kind === track.kind)) this.#media.removeTrack(each);
    this.#stale = this.#stale.filter(({ kind }) => kind !== track.kind);
    this.#media.addTrack(track);
    this.#emit("track", track);
    if (track.kind !== "video") return;
    this.#fading?.pc.close();
    this.#fading = null;
  }

  /**
   * @param {ServerMessage} message
   * @param {AbortSignal} signal
   */
  #receive(message, signal) {
    if (message.type === "controls") this.plan.values = message.values;
    if (message.type === "state") this.hush.hear(message.value);
    if (message.type === "end") {
      if (this.connection) this.connection.resource = null; // there is nothing left to delete
      const error = this.#began && goesOn(message.reason, this.plan);
      if (error) return this.#fail(signal, error);
    }
    this.#emit(message.type, message);
    if (message.type === "end") void this.stop();
  }

  /**
   * Ends the session that `signal` belongs to, unless it has ended already; or begins another.
   * @param {AbortSignal} signal
   * @param {unknown} error
   */
  #fail(signal, error) {
    const session = this.#session;
    if (session?.signal !== signal) return;
    if (!this.plan.reconnect) void this.#end(session, error, this.#began);
    else if (this.#began) void this.#reconnect(session, error);
    else session.abort(error); // who has made the attempt is told by its failing
  }

  /**
   * @param {AbortController} lost
   * @param {unknown} error
   * @param {boolean} [tell] what has failed in the end; or else it is thrown
   */
  async #reconnect(lost, error, tell = true) {
    const before = await this.#signaling.describe();
    this.#giveUp = performance.now() + GIVE_UP_MS;
    this.#signaling.retries = true;
    let session = lost;
    let since = performance.now();
    let pauses = 0;
    this.pause.begin();
    for (let attempt = 1; this.#session === session; attempt += 1) {
      this.#leave(session, error);
      session = this.#open();
      const { signal } = session;
      pauses = this.pause.wasCut() ? 1 : pauses + 1;
      const retryAfter = error instanceof StreamError ? 1000 * (error.retryAfter ?? 0) : 0;
      const left = Math.max(this.#giveUp - performance.now(), 0);
      // An attempt that got no answer has waited for it.
      const pause = Math.max(pauseBefore(pauses) - (performance.now() - since), 0);
      const wait = Math.min(Math.max(pause, retryAfter), left);
      if (hasSourceLeft(error)) this.#emit("source", { ended: true });
      else this.#emit("reconnecting", { attempt, wait, patient: isPatient(attempt), error });
      try {
        await this.pause.wait(wait, signal);
        since = performance.now();
        sameStream(before, await this.#signaling.describeAnew());
        await this.#admitted(signal);
        this.#emit("reconnected", { attempt });
        return;
      } catch (cause) {
        error = signal.aborted ? signal.reason : cause;
        if (!navigator.onLine) this.#giveUp = performance.now() + GIVE_UP_MS; // it is not the server that is away
        if (!isFinal(error) && performance.now() <= this.#giveUp) continue;
        void this.#end(session, error, tell);
        if (tell) return;
        throw error;
      }
    }
  }

  /**
   * Lets go of a connection, which the server may think is still there.
   * @param {AbortController} session
   * @param {unknown} error
   */
  #leave(session, error) {
    if (hasSourceLeft(error)) {
      this.#id = ""; // there is nothing to go on with
      for (const track of this.#media.getTracks()) this.#media.removeTrack(track);
    }
    if (this.connection?.pc.remoteDescription && this.#id) this.#former = this.connection;
    else this.connection?.pc.close();
    this.#stale = this.#media.getTracks();
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
    this.connection?.channel.end(error);
    this.connection = null;
  }

  /**
   * @param {AbortController} session
   * @param {unknown} error
   * @param {boolean} tell whether nobody awaits `start()`, who would get the error from there
   */
  async #end(session, error, tell) {
    if (this.#session !== session) return;
    const [connection, former, fading] = [this.connection, this.#former, this.#fading];
    this.#release(session, error);
    this.#former = this.#fading = null;
    this.#stale = [];
    this.#signaling.retries = false;
    for (const track of this.#media.getTracks()) this.#media.removeTrack(track);
    if (tell) this.#emit("failure", error);
    this.#emit("connectionstatechange", "closed");
    // Asked to, the server ends the session in order; it would take a closed connection for a lost one.
    await (connection?.resource ?? former?.resource)?.delete();
    connection?.pc.close();
    former?.pc.close();
    fading?.pc.close();
  }
}
