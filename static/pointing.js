/** Pointing at a place in a picture: a click or a tap, and dragging with a mouse or a pen. */

/** @typedef {{ x: number, y: number }} Place fractions of the picture's width and height */

export class Pointing {
  #video;
  #stage;
  #marker = document.createElement("span");
  /** @type {Place | null} */
  #place = null;

  /**
   * @param {HTMLVideoElement} video
   * @param {{ mirrored: boolean }} stage that shows it
   * @param {(place: Place) => void} choose
   */
  constructor(video, stage, choose) {
    this.#video = video;
    this.#stage = stage;
    const frame = /** @type {HTMLElement} */ (video.parentElement);
    frame.classList.add("pointed");
    this.#marker.className = "marker";
    this.#marker.ariaHidden = "true"; // its place is said beside the control
    frame.append(this.#marker);
    const point = (/** @type {PointerEvent} */ event) => {
      const place = this.#at(event);
      if (place) choose(place);
    };
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || /** @type {Element} */ (event.target).closest("button")) return;
      if (event.pointerType === "touch") return; // it may be the beginning of scrolling
      frame.setPointerCapture(event.pointerId);
      point(event);
    });
    frame.addEventListener("pointermove", (event) => {
      if (frame.hasPointerCapture(event.pointerId)) point(event);
    });
    frame.addEventListener("click", (event) => {
      if (/** @type {PointerEvent} */ (event).pointerType === "touch") point(/** @type {PointerEvent} */ (event));
    });
    video.addEventListener("resize", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(video);
  }

  /** Marks a place, or none. @param {Place | null} place */
  show(place) {
    this.#place = place;
    this.draw();
  }

  /** The part of the element that the picture fills, from the frame's corner; null without a picture. */
  #picture() {
    const { videoWidth, videoHeight, clientWidth, clientHeight } = this.#video;
    if (!videoWidth || !clientWidth) return null;
    const contain = getComputedStyle(this.#video).objectFit === "contain";
    const fit = contain ? Math.min : Math.max;
    const scale = fit(clientWidth / videoWidth, clientHeight / videoHeight);
    const [width, height] = [videoWidth * scale, videoHeight * scale];
    return { left: (clientWidth - width) / 2, top: (clientHeight - height) / 2, width, height };
  }

  /** @param {PointerEvent} event */
  #at({ clientX, clientY }) {
    const picture = this.#picture();
    if (!picture) return null;
    const { left, top } = this.#video.getBoundingClientRect();
    const x = within((clientX - left - picture.left) / picture.width);
    const y = within((clientY - top - picture.top) / picture.height);
    return { x: this.#turned(x), y };
  }

  /** From what is seen to what is sent, or back. @param {number} x */
  #turned(x) {
    return this.#stage.mirrored ? 1 - x : x;
  }

  draw() {
    const picture = this.#picture();
    this.#marker.hidden = !this.#place || !picture;
    if (!this.#place || !picture) return;
    this.#marker.style.left = `${picture.left + this.#turned(this.#place.x) * picture.width}px`;
    this.#marker.style.top = `${picture.top + this.#place.y * picture.height}px`;
  }
}

/** @param {number} share */
const within = (share) => Math.round(1e4 * Math.min(Math.max(share, 0), 1)) / 1e4;
