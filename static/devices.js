/** The camera's and the microphone's part of the dock: what is chosen, opened, muted and measured. */

import { Capture, FRAME_RATES, SIZES, hasTwoSides, listDevices } from "./capture.js";
import { Level, everyFrame, loudness } from "./level.js";

/** @typedef {import("./capture.js").Kind} Kind */

/** How much of its height the level loses with each picture on screen. */
const FALL = 0.94;

export class Devices {
  /** Called when another track takes the place of one in use. @type {(track: MediaStreamTrack) => Promise<void>} */
  onswitch = async () => {};
  /** Called when a switch has failed, with why. @type {(error: unknown) => void} */
  onproblem = () => {};

  #capture = new Capture();
  #camera;
  #size;
  #rate;
  #microphone;
  #processing;
  #mute;
  #facing;
  #meter;
  #gives;
  /** @type {Kind[]} */
  #kinds = [];
  /** @type {"user" | "environment"} */
  #side = "user";
  #open = false;
  #silent = false;
  /** The ids of devices that ended by themselves. @type {Map<Kind, string>} */
  #lost = new Map();
  /** @type {Level | null} */
  #level = null;
  #stopMeter = () => {};

  /** @param {(id: string) => any} find */
  constructor(find) {
    this.#camera = /** @type {HTMLSelectElement} */ (find("camera"));
    this.#size = /** @type {HTMLSelectElement} */ (find("size"));
    this.#rate = /** @type {HTMLSelectElement} */ (find("rate"));
    this.#microphone = /** @type {HTMLSelectElement} */ (find("microphone"));
    this.#processing = /** @type {HTMLInputElement} */ (find("processing"));
    this.#mute = /** @type {HTMLButtonElement} */ (find("mute-microphone"));
    this.#facing = /** @type {HTMLButtonElement} */ (find("facing"));
    this.#meter = /** @type {HTMLMeterElement} */ (find("level"));
    this.#gives = /** @type {HTMLElement} */ (find("camera-gives"));

    for (const list of [this.#camera, this.#size, this.#rate]) {
      list.addEventListener("change", () => void this.#switch("video"));
    }
    for (const input of [this.#microphone, this.#processing]) {
      input.addEventListener("change", () => void this.#switch("audio"));
    }
    this.#facing.addEventListener("click", () => {
      this.#side = this.#side === "user" ? "environment" : "user";
      this.#camera.value = "";
      void this.#switch("video");
    });
    this.#mute.addEventListener("click", () => {
      this.#mute.setAttribute("aria-pressed", String(!this.#muted));
      this.#applyMute();
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => {
      void this.#fill();
      void this.#reopen();
    });
    find("preview").addEventListener("resize", () => this.#showGiven());
  }

  /** Called when a device ends by itself. */
  set onlost(/** @type {(kind: Kind) => void} */ lost) {
    this.#capture.onlost = (kind, id) => {
      this.#lost.set(kind, id);
      lost(kind);
    };
  }

  /** @param {import("./contract.js").Description} description */
  async arrange({ inputs, maxFps }) {
    this.#kinds = inputs;
    document.body.dataset.camera = String(inputs.includes("video"));
    document.body.dataset.microphone = String(inputs.includes("audio"));
    for (const option of Object.keys(SIZES)) this.#size.add(new Option(`${option}p`, option, false, option === "720"));
    const limit = maxFps ?? Infinity;
    const rates = FRAME_RATES.filter((rate) => rate <= limit);
    if (!rates.length) rates.push(limit);
    const usual = rates.findLast((rate) => rate <= 30) ?? rates[0];
    for (const rate of rates) this.#rate.add(new Option(`${rate} fps`, String(rate), false, rate === usual));
    this.#facing.hidden = !inputs.includes("video") || !hasTwoSides();
    await this.#fill();
  }

  /** Not while a session is being made: it would end up with neither the one nor the other. @param {boolean} now */
  set enabled(/** @type {boolean} */ now) {
    for (const each of [this.#camera, this.#size, this.#rate, this.#microphone, this.#processing]) each.disabled = !now;
  }

  /** Whether nothing is to leave the microphone just now, besides what its own button says. @param {boolean} now */
  set silent(/** @type {boolean} */ now) {
    this.#silent = now;
    this.#applyMute();
  }

  /** All that are open. */
  get tracks() {
    return this.#capture.stream?.getTracks() ?? [];
  }

  /** @param {Kind} kind */
  track(kind) {
    return this.#capture.track(kind);
  }

  /** Opens what the stream takes. @returns {Promise<MediaStream | null>} null when `close()` came in between */
  async open() {
    const opened = await this.#capture.open(this.#wish(this.#kinds));
    this.#open = opened !== null;
    if (opened) this.#show();
    return opened;
  }

  close() {
    this.#open = false;
    this.#lost.clear();
    this.#capture.close();
    this.#show();
  }

  /** The very device that was lost and is there again; no other, which may look elsewhere. */
  async #reopen() {
    for (const [kind, id] of this.#lost) {
      const back = (await listDevices(kind)).some(({ deviceId }) => deviceId === id);
      if (back && this.#lost.get(kind) === id) await this.#switch(kind, id);
    }
  }

  /**
   * Another device, size, frame rate or processing in the running session.
   * @param {Kind} kind
   * @param {string} [id] of a certain device, whatever is chosen
   */
  async #switch(kind, id) {
    this.#lost.delete(kind);
    if (!this.#open) return;
    const wish = this.#wish([kind]);
    if (id) wish[kind === "video" ? "camera" : "microphone"] = id;
    try {
      if (!(await this.#capture.open(wish))) return;
      this.#show();
      const track = this.track(kind);
      if (track) await this.onswitch(track);
    } catch (error) {
      this.#show();
      this.onproblem(error);
    }
  }

  /** @param {Kind[]} kinds */
  #wish(kinds) {
    return {
      kinds,
      camera: this.#camera.value,
      facing: this.#side,
      size: this.#size.value,
      frameRate: Number(this.#rate.value),
      microphone: this.#microphone.value,
      processing: this.#processing.checked,
    };
  }

  get #muted() {
    return this.#mute.getAttribute("aria-pressed") === "true";
  }

  #applyMute() {
    const track = this.track("audio");
    if (track) track.enabled = !this.#muted && !this.#silent;
  }

  #show() {
    this.#showGiven();
    this.#applyMute();
    this.#measure(this.track("audio"));
    void this.#fill();
  }

  #showGiven() {
    const given = this.#capture.settings("video");
    const rate = given?.frameRate ? `, ${Math.round(given.frameRate)} fps` : "";
    this.#gives.textContent = given?.width ? `${given.width} × ${given.height}${rate}` : "";
  }

  /** @param {MediaStreamTrack | null} track */
  #measure(track) {
    this.#stopMeter();
    this.#level?.close();
    this.#level = null;
    this.#meter.value = 0;
    if (!track) return;
    const level = (this.#level = new Level(track));
    this.#stopMeter = everyFrame(() => (this.#meter.value = Math.max(loudness(level.peak), FALL * this.#meter.value)));
  }

  async #fill() {
    await fill(this.#camera, "video", this.#capture.settings("video")?.deviceId, "camera");
    await fill(this.#microphone, "audio", this.#capture.settings("audio")?.deviceId, "microphone");
  }
}

/**
 * @param {HTMLSelectElement} list
 * @param {Kind} kind
 * @param {string | undefined} inUse
 * @param {string} noun
 */
async function fill(list, kind, inUse, noun) {
  const devices = await listDevices(kind);
  const chosen = list.value || inUse || "";
  const name = noun.charAt(0).toUpperCase() + noun.slice(1);
  const options = devices.map(({ label, deviceId }, index) =>
    new Option(label || `${name} ${index + 1}`, deviceId, false, deviceId === chosen));
  if (!options.some((option) => option.value === chosen)) {
    options.unshift(new Option(`Default ${noun}`, "", false, true));
  }
  list.replaceChildren(...options);
}
