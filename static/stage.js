/** The two pictures: how they are laid out, mirrored, filled and played. */

import { Overlay } from "./overlay.js";

/** @typedef {"beside" | "unified"} View */

export class Stage {
  /** @type {Overlay | null} */
  #overlay = null;
  #root;
  #preview;
  #output;
  #tapToPlay;
  #placeholder;

  /** @param {HTMLElement} root */
  constructor(root) {
    const find = (/** @type {string} */ selector) => /** @type {any} */ (root.querySelector(selector));
    this.#root = root;
    this.#preview = /** @type {HTMLVideoElement} */ (find("#preview"));
    this.#output = /** @type {HTMLVideoElement} */ (find("#output"));
    this.#tapToPlay = /** @type {HTMLButtonElement} */ (find("#tap-to-play"));
    this.#placeholder = /** @type {HTMLElement} */ (find("#placeholder"));
    this.#tapToPlay.addEventListener("click", () => this.play());
    for (const video of [this.#preview, this.#output]) {
      const show = () => this.#fill(video);
      for (const event of ["resize", "loadeddata", "emptied"]) video.addEventListener(event, show);
    }
  }

  /**
   * Makes room for what the stream has: a picture in, a picture out, or both.
   * @param {import("./contract.js").Description} description
   * @returns {Overlay} for the picture that results belong to
   */
  arrange({ inputs, outputs }) {
    const camera = inputs.includes("video");
    const result = outputs.includes("video");
    this.#root.dataset.media = camera && result ? "both" : camera ? "camera" : "result";
    this.#output.muted = !outputs.includes("audio");
    this.view = camera && result && matchMedia("(min-width: 60rem)").matches ? "beside" : "unified";
    const video = result ? this.#output : this.#preview;
    const canvas = document.createElement("canvas");
    canvas.ariaHidden = "true";
    video.after(canvas);
    this.#overlay = new Overlay(canvas, video);
    return this.#overlay;
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
    if (this.#overlay) this.#overlay.mirrored = mirrored;
  }

  /** @param {MediaStream | null} stream */
  set camera(/** @type {MediaStream | null} */ stream) {
    this.#preview.srcObject = stream;
  }

  /** @param {MediaStream | null} media */
  set result(/** @type {MediaStream | null} */ media) {
    this.#output.srcObject = media;
    this.#tapToPlay.hidden = true;
    if (!media) this.#overlay?.clear();
  }

  /** What is said where the result will appear. @param {string} text */
  set placeholder(/** @type {string} */ text) {
    this.#placeholder.textContent = text;
  }

  async play() {
    try {
      await this.#output.play();
      this.#tapToPlay.hidden = true;
    } catch (error) {
      // AbortError: the stream was taken away before its first frame.
      if (/** @type {DOMException} */ (error).name === "NotAllowedError") this.#tapToPlay.hidden = false;
      else if (/** @type {DOMException} */ (error).name !== "AbortError") throw error;
    }
  }

  async toggleFullScreen() {
    if (document.fullscreenElement) return document.exitFullscreen();
    const video = this.#root.dataset.media === "camera" ? this.#preview : this.#output;
    const screen = /** @type {HTMLElement} */ (video.parentElement);
    if (screen.requestFullscreen) return screen.requestFullscreen();
    // iPhones let only the video itself fill the screen.
    return /** @type {any} */ (video).webkitEnterFullscreen();
  }

  /** The frame takes the shape of the picture; without one, of the camera's, else 16:9. @param {HTMLVideoElement} video */
  #fill(video) {
    const { videoWidth, videoHeight, parentElement } = video;
    if (!parentElement) return;
    parentElement.classList.toggle("filled", videoWidth > 0 && video.srcObject !== null);
    const ratio = videoWidth ? String(videoWidth / videoHeight) : "";
    parentElement.style.setProperty("--ratio", ratio);
    if (video === this.#preview) this.#root.style.setProperty("--camera-ratio", ratio);
  }
}
