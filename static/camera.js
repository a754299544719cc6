/** The camera: opened on request only, one at a time, because phones cannot open two. */

/** The heights offered, with the widths that go with them at 16:9. @type {Record<string, [number, number]>} */
export const SIZES = { "360": [640, 360], "480": [854, 480], "720": [1280, 720], "1080": [1920, 1080] };
export const FRAME_RATES = [15, 24, 30, 60];

/**
 * @typedef {object} Wish what is asked of the camera; it gives what it can
 * @property {string} deviceId a certain camera, or "" for any
 * @property {"user" | "environment"} facing front or back, where no certain one is asked for
 * @property {string} size a key of `SIZES`
 * @property {number} frameRate
 * @property {boolean} video
 * @property {boolean} audio
 */

export class Camera {
  /** @type {MediaStream | null} */
  stream = null;
  /** Called when the camera ends by itself: unplugged, or taken away. */
  onlost = () => {};
  /** Requests in a row, so that two quick switches never hold two cameras. @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #closed = 0;

  /**
   * Opens what is wished for in place of what is open. Rejects with what `getUserMedia` says;
   * then no camera is open.
   * @param {Wish} wish
   * @returns {Promise<MediaStream | null>} null when `close()` came in between
   */
  open(wish) {
    const opened = this.#queue.then(() => this.#open(wish));
    this.#queue = opened.catch(() => {}); // the caller gets the error; the next request does not care
    return opened;
  }

  close() {
    this.#closed += 1;
    this.#release();
  }

  /** What the camera gives, which need not be what was asked for. */
  get settings() {
    return this.stream?.getVideoTracks()[0]?.getSettings() ?? null;
  }

  /** @param {Wish} wish */
  async #open(wish) {
    const closed = this.#closed;
    // Browsers leave `mediaDevices` out where the page is not trustworthy.
    if (!navigator.mediaDevices) throw new DOMException("insecure", "InsecurePageError");
    this.#release();
    const stream = await navigator.mediaDevices.getUserMedia(constraints(wish));
    if (closed !== this.#closed) {
      for (const track of stream.getTracks()) track.stop();
      return null;
    }
    this.stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.onlost());
    return stream;
  }

  #release() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
  }
}

/**
 * @param {Wish} wish
 * @returns {MediaStreamConstraints}
 */
function constraints({ deviceId, facing, size, frameRate, video, audio }) {
  const [width, height] = SIZES[size];
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: facing } };
  return {
    video: video && { ...which, width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: frameRate } },
    audio,
  };
}

/** The cameras; before permission browsers give them neither a label nor an id. */
export async function listCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "videoinput" && device.deviceId);
}

/** Whether this is a phone or a tablet, which has a camera on each side. */
export const hasTwoSides = () => matchMedia("(pointer: coarse)").matches;
