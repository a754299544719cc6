/** The pictures, or what stands for them: how they are laid out, mirrored, filled and played. */

import { Overlay } from "./overlay.js";
import { Pointing } from "./pointing.js";
import { Waveform } from "./waveform.js";

/** @typedef {"beside" | "unified"} View */
/** @typedef {"both" | "camera" | "result" | "sound" | "data"} Media what there is to be seen */

export class Stage {
  /** Over the picture that results belong to, once it is arranged. @type {Overlay | null} */
  overlay = null;
  #root;
  #preview;
  #output;
  #sound;
  #tapToPlay;
  #placeholder;
  #progress;
  #shows;
  #frame;
  #waveform;
  /** @type {Pointing[]} */
  #pointings = [];
  /** @type {Media} */
  #media = "both";

  /** @param {HTMLElement} root */
  constructor(root) {
    const find = (/** @type {string} */ selector) => /** @type {any} */ (root.querySelector(selector));
    this.#root = root;
    this.#preview = /** @type {HTMLVideoElement} */ (find("#preview"));
    this.#output = /** @type {HTMLVideoElement} */ (find("#output"));
    this.#frame = /** @type {HTMLElement} */ (this.#output.parentElement);
    this.#sound = /** @type {HTMLAudioElement} */ (find("#sound"));
    this.#waveform = new Waveform(find("#waveform"));
    /** What plays: one element for picture and sound, because that keeps them together. */
    this.player = /** @type {HTMLMediaElement} */ (this.#output);
    this.#tapToPlay = /** @type {HTMLButtonElement} */ (find("#tap-to-play"));
    this.#placeholder = /** @type {HTMLElement} */ (find("#placeholder"));
    this.#progress = /** @type {HTMLElement} */ (find("#progress"));
    this.#shows = /** @type {HTMLElement} */ (find("#shows"));
    this.#tapToPlay.addEventListener("click", () => this.play());
    for (const video of [this.#preview, this.#output]) {
      const show = () => this.#fill(video);
      for (const event of ["resize", "loadeddata", "emptied"]) video.addEventListener(event, show);
    }
  }

  /**
   * Makes room for what the stream has: a picture in, a picture out, both, or neither.
   * @param {import("./contract.js").Description} description
   * @param {HTMLElement} results are shown here where there is nothing else to be seen
   * @returns {Overlay} for the picture that results belong to
   */
  arrange({ inputs, outputs }, results) {
    const camera = inputs.includes("video");
    const result = outputs.includes("video");
    const sound = inputs.includes("audio") || outputs.includes("audio");
    const media = camera && result ? "both" : camera ? "camera" : result ? "result" : sound ? "sound" : "data";
    this.#root.dataset.media = this.#media = media;
    if (media === "data") this.#frame.append(results);
    if (media === "camera") this.#preview.after(this.#tapToPlay, this.#progress);
    if (media === "sound" && !outputs.includes("audio")) this.#shows.textContent = "Microphone";
    if (!result && outputs.includes("audio")) this.player = this.#sound;
    this.#output.muted = !outputs.includes("audio");
    this.view = media === "both" && matchMedia("(min-width: 60rem)").matches ? "beside" : "unified";
    const video = result ? this.#output : this.#preview;
    this.overlay = new Overlay(video, !result);
    return this.overlay;
  }

  /**
   * Lets the pictures be pointed at, for the control that was touched last.
   * @param {{ touched: number, shown: ((value: any) => void) | null, change: (value: any) => void, value: any }[]} places
   */
  pointAt(places) {
    if (!places.length) return;
    const newest = () => places.reduce((one, other) => (other.touched > one.touched ? other : one));
    const videos = this.#media === "both" ? [this.#preview, this.#output]
      : [this.#media === "camera" ? this.#preview : this.#output];
    this.#pointings = videos.map((video) => new Pointing(video, this, (place) => newest().change(place)));
    const show = () => this.#pointings.forEach((each) => each.show(newest().value));
    for (const each of places) each.shown = show;
    show();
  }

  get view() {
    return /** @type {View} */ (document.body.dataset.view);
  }

  set view(/** @type {View} */ view) {
    document.body.dataset.view = view;
  }

  get mirrored() {
    return "mirrored" in this.#root.dataset;
  }

  /** On screen only: what is sent stays as it is. */
  set mirrored(/** @type {boolean} */ mirrored) {
    if (mirrored) this.#root.dataset.mirrored = "";
    else delete this.#root.dataset.mirrored;
    if (this.overlay) this.overlay.mirrored = mirrored;
    for (const each of this.#pointings) each.draw();
  }

  /** @param {MediaStream | null} stream */
  set camera(/** @type {MediaStream | null} */ stream) {
    this.#preview.srcObject = stream;
  }

  /** @param {MediaStream | null} media */
  set result(/** @type {MediaStream | null} */ media) {
    if (this.player.srcObject !== media) this.player.srcObject = media;
    this.#tapToPlay.hidden = true;
    if (media) return;
    this.overlay?.clear();
    this.#waveform.clear();
    this.#frame.classList.remove("heard");
  }

  /**
   * Draws a sound, where there is no picture.
   * @param {MediaStreamTrack | null} track
   * @param {"microphone" | "result"} whose
   */
  draw(track, whose) {
    if (!track || this.#media !== "sound") return;
    this.#waveform.show(track, whose === "microphone" && this.player === this.#sound ? "--track" : "--accent");
    this.#frame.classList.add("heard");
  }

  /** What is said where the result will appear. @param {string} text */
  set placeholder(/** @type {string} */ text) {
    this.#placeholder.textContent = text;
  }

  async play() {
    try {
      await this.player.play();
      this.#tapToPlay.hidden = true;
    } catch (error) {
      // AbortError: the stream was taken away before its first frame.
      if (/** @type {DOMException} */ (error).name === "NotAllowedError") this.#tapToPlay.hidden = false;
      else if (/** @type {DOMException} */ (error).name !== "AbortError") throw error;
    }
  }

  /** iPhones let only a video fill the screen. */
  get canFillScreen() {
    return "requestFullscreen" in this.#root || (this.#media !== "sound" && this.#media !== "data");
  }

  async toggleFullScreen() {
    if (document.fullscreenElement) return document.exitFullscreen();
    const video = this.#media === "camera" ? this.#preview : this.#output;
    const screen = /** @type {HTMLElement} */ (video.closest(".screen"));
    if (screen.requestFullscreen) return screen.requestFullscreen();
    return /** @type {any} */ (video).webkitEnterFullscreen();
  }

  /** The frame takes the shape of the picture; without one, of the camera's, else 16:9. @param {HTMLVideoElement} video */
  #fill(video) {
    const { videoWidth, videoHeight, parentElement } = video;
    if (!parentElement) return;
    parentElement.classList.toggle("filled", videoWidth > 0 && video.srcObject !== null);
    const ratio = videoWidth ? String(videoWidth / videoHeight) : "";
    /** @type {HTMLElement} */ (parentElement.parentElement).style.setProperty("--ratio", ratio);
    if (video === this.#preview) this.#root.style.setProperty("--camera-ratio", ratio);
  }
}
