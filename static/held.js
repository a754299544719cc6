/**
 * The picture that returns, held until what was found in it is there, and shown together with it.
 *
 * A browser tells of a video's frame a moment after it is on screen; what is drawn over it then is of
 * the frame before for that moment. So while there is something to draw, the frame is copied into a
 * canvas over the video, and both change at once.
 */

/** @typedef {Map<string, import("./drawings.js").Drawing[]>} Found by the result's name */
/** @typedef {{ pts: number, picture: VideoFrame | null }} Frame the picture is null where a script cannot have it */

/** Drawings that wait for their frames; a frame that never comes must not keep them. */
const MOST_WAITING = 90;
/** Frames that wait for their drawings, and how long, ms. */
const MOST_HELD = 6;
const HOLD = 100;
/** After so many frames with drawings the next one waits for its own. */
const REGULAR = 3;
/** For so long drawings that have missed their frame are not shown, since others have not; ms. */
const EXACT = 1000;

/** A picture that the server sends again is later by a tick each time; another one, by more than so many. */
const AGAIN = 45;

/** Whether one 32-bit RTP timestamp is later than another. @param {number} one @param {number} other */
const isLater = (one, other) => ((one - other) | 0) > 0;

/** After so many frames without one the browser does not tell their times. */
const FEW = 5;

export class Held {
  #video;
  #show;
  #canvas = document.createElement("canvas");
  /** By the RTP timestamp of their frame. @type {Map<number, Found>} */
  #waiting = new Map();
  /** Oldest first. @type {Frame[]} */
  #held = [];
  /** The frame on screen. @type {Frame | null} */
  #shown = null;
  /** The newest frame that has come; undefined where the browser does not tell. @type {number | undefined} */
  #newest;
  #pictures = 0;
  /** The newest frame of which anything has been heard. @type {number | null} */
  #heard = null;
  /** How many frames in a row had drawings. */
  #row = 0;
  /** How many frames in a row the browser has not told the time of. */
  #untold = 0;
  /** The first frame that was shown before anything was heard of it. @type {number | null} */
  #unmet = null;
  #timer = 0;
  /** When drawings last met their frame. */
  #met = -Infinity;

  /**
   * @param {HTMLVideoElement} video
   * @param {(found: Found) => boolean} show draws these beside what is drawn of other names, and tells whether
   *     there is anything
   */
  constructor(video, show) {
    this.#video = video;
    this.#show = show;
    this.#canvas.className = "held";
    this.#canvas.hidden = true;
    this.#canvas.ariaHidden = "true";
    video.after(this.#canvas);
    if ("requestVideoFrameCallback" in video) this.#watch();
    else this.#untold = Infinity;
  }

  /** Whether this browser does not tell which frame is on screen: then the newest drawings are shown at once. */
  get isBlind() {
    return this.#untold > FEW;
  }

  /** How many pictures have come, where that is told. */
  get pictures() {
    return this.isBlind ? undefined : this.#pictures;
  }

  /**
   * @param {Found} found
   * @param {number} pts
   */
  add(found, pts) {
    if (this.#heard === null || isLater(pts, this.#heard)) this.#heard = pts;
    if (this.#unmet !== null && !isLater(this.#unmet, pts)) {
      if (pts !== this.#unmet) this.#row = 0; // it had none
      this.#unmet = null;
    }
    const frame = this.#held.find((each) => each.pts === pts) ?? (this.#shown?.pts === pts ? this.#shown : null);
    if (this.#newest === undefined && this.#untold) this.#show(found);
    else if (this.#newest === undefined) this.#wait(found, pts); // there is nothing yet to draw on
    else if (frame) this.#meet(frame, found);
    else if (isLater(pts, this.#newest)) this.#wait(found, pts);
    else if (performance.now() - this.#met > EXACT) this.#present(this.#shown, found); // better late than never
    if (this.#held.length && isLater(this.#heard, Number(this.#newest))) this.#miss();
  }

  /** Shows the video itself again. */
  release() {
    this.#canvas.hidden = true;
  }

  clear() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.release();
    this.#drop(MOST_HELD);
    this.#shown?.picture?.close();
    this.#shown = this.#heard = this.#unmet = null;
    this.#newest = undefined;
    this.#waiting.clear();
    this.#row = 0;
    this.#met = -Infinity;
  }

  /** @param {Found} found @param {number} pts */
  #wait(found, pts) {
    this.#waiting.set(pts, new Map([...(this.#waiting.get(pts) ?? []), ...found]));
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MOST_WAITING) this.#waiting.delete(oldest);
  }

  #watch() {
    this.#video.requestVideoFrameCallback((_, { rtpTimestamp }) => {
      this.#watch();
      // The element may have gone on to another frame by the time that it calls.
      const picture = pictureOf(this.#video);
      const pts = /** @type {any} */ (picture)?.metadata?.().rtpTimestamp ?? rtpTimestamp;
      this.#untold = pts === undefined ? this.#untold + 1 : 0;
      if (pts === undefined || pts === this.#newest) picture?.close();
      else if (this.#newest !== undefined && isLater(pts, this.#newest) && !isLater(pts, this.#newest + AGAIN)) {
        this.#renew(pts, picture);
      } else this.#come({ pts, picture });
    });
  }

  /**
   * The newest picture has come once more, whole or sharper, and is what its drawings belong to.
   * @param {number} pts
   * @param {VideoFrame | null} picture
   */
  #renew(pts, picture) {
    const frame = this.#held.at(-1) ?? this.#shown;
    this.#newest = pts;
    if (!frame) return picture?.close();
    frame.picture?.close();
    frame.picture = picture;
    if (frame === this.#shown && !this.#canvas.hidden) this.#present(frame, new Map());
  }

  /** @param {Frame} frame */
  #come(frame) {
    const { pts } = frame;
    this.#newest = pts;
    this.#pictures += 1;
    this.#held.push(frame);
    if (this.#held.length > MOST_HELD) this.#drop(1);
    const found = this.#waiting.get(pts);
    // Frames come in order: what waited for an earlier one waits in vain.
    for (const each of this.#waiting.keys()) if (!isLater(each, pts)) this.#waiting.delete(each);
    if (found) this.#meet(frame, found);
    else if (this.#heard !== null && isLater(this.#heard, pts)) this.#miss();
    else if (this.#row >= REGULAR) this.#timer ||= setTimeout(() => this.#miss(), HOLD);
    else {
      this.#unmet ??= pts;
      this.#present(frame, new Map());
    }
  }

  /** There is nothing new to be drawn with what has come. */
  #miss() {
    this.#row = 0;
    this.#present(this.#held.at(-1) ?? this.#shown, new Map());
  }

  /** @param {Frame} frame @param {Found} found in that frame */
  #meet(frame, found) {
    this.#row += 1;
    this.#met = performance.now();
    this.#present(frame, found);
  }

  /** @param {Frame | null} frame @param {Found} found */
  #present(frame, found) {
    if (frame && frame !== this.#shown) {
      this.#drop(this.#held.indexOf(frame));
      this.#held.shift();
      this.#shown?.picture?.close();
      this.#shown = frame;
    }
    clearTimeout(this.#timer);
    this.#timer = this.#held.length ? setTimeout(() => this.#miss(), HOLD) : 0;
    if (!this.#show(found)) return this.release();
    const { videoWidth, videoHeight } = this.#video;
    if (this.#canvas.width !== videoWidth) this.#canvas.width = videoWidth;
    if (this.#canvas.height !== videoHeight) this.#canvas.height = videoHeight;
    const picture = this.#shown?.picture ?? this.#video;
    this.#canvas.getContext("2d")?.drawImage(picture, 0, 0, videoWidth, videoHeight);
    this.#canvas.hidden = false;
  }

  /** Gives up the oldest frames. @param {number} count */
  #drop(count) {
    for (const { picture } of this.#held.splice(0, count)) picture?.close();
  }
}

/** @param {HTMLVideoElement} video */
function pictureOf(video) {
  try {
    return new VideoFrame(video);
  } catch {
    return null; // the browser has no such thing, or the video none just now
  }
}
