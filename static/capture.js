/** The camera and the microphone: opened on request only, one of each, because phones cannot open two. */

/** The heights offered, with the widths that go with them at 16:9. @type {Record<string, [number, number]>} */
export const SIZES = { "360": [640, 360], "480": [854, 480], "720": [1280, 720], "1080": [1920, 1080] };
export const FRAME_RATES = [15, 24, 30, 60];

/** @typedef {"video" | "audio"} Kind of a track: a camera's or a microphone's */
/**
 * @typedef {object} Wish what is asked of the devices; they give what they can
 * @property {Kind[]} kinds
 * @property {string} camera the id of a certain one, or "" for any
 * @property {"user" | "environment"} facing front or back, where no certain one is asked for
 * @property {string} size a key of `SIZES`
 * @property {number} frameRate
 * @property {string} microphone the id of a certain one, or "" for any
 * @property {boolean} processing whether the voice is made clear, by what also bends music
 */

/** Why devices could not be opened: `name` is that of the `DOMException` of `getUserMedia`. */
export class CaptureError extends Error {
  /**
   * @param {string} name
   * @param {Kind[]} kinds what could not be opened, as far as one can tell
   * @param {unknown} [cause]
   */
  constructor(name, kinds, cause) {
    super(`${kinds.join(" and ")}: ${name}`, { cause });
    this.name = name;
    this.kinds = kinds;
  }
}

export class Capture {
  /** @type {MediaStream | null} */
  stream = null;
  /** Called when a device ends by itself, with its id: unplugged, or taken away. */
  onlost = (/** @type {Kind} */ _kind, /** @type {string} */ _id) => {};
  /** Requests in a row, so that two quick switches never hold two cameras. @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #closed = 0;

  /**
   * Opens what is wished for in place of what is open of those kinds. Rejects with a
   * `CaptureError`; then none of those kinds is open.
   * @param {Wish} wish
   * @returns {Promise<MediaStream | null>} all that is open; null when `close()` came in between
   */
  open(wish) {
    const closed = this.#closed; // as of now: it may be its turn when `close()` has been
    const opened = this.#queue.then(() => (closed === this.#closed ? this.#open(wish) : null));
    this.#queue = opened.catch(() => {}); // the caller gets the error; the next request does not care
    return opened;
  }

  close() {
    this.#closed += 1;
    this.#release(["video", "audio"]);
  }

  /** @param {Kind} kind */
  track(kind) {
    return this.stream?.getTracks().find((track) => track.kind === kind) ?? null;
  }

  /** What a device gives, which need not be what was asked for. @param {Kind} kind */
  settings(kind) {
    return this.track(kind)?.getSettings() ?? null;
  }

  /** @param {Wish} wish */
  async #open(wish) {
    const closed = this.#closed;
    const { kinds } = wish;
    // Browsers leave `mediaDevices` out where the page is not trustworthy.
    if (!navigator.mediaDevices) throw new CaptureError("InsecurePageError", kinds);
    this.#release(kinds);
    let opened;
    try {
      // Both in one request, so that people are asked once.
      opened = await navigator.mediaDevices.getUserMedia(constraints(wish));
    } catch (error) {
      const { name } = /** @type {DOMException} */ (error);
      throw new CaptureError(name, name === "NotFoundError" ? await absent(kinds) : kinds, error);
    }
    if (closed !== this.#closed) {
      for (const track of opened.getTracks()) track.stop();
      return null;
    }
    for (const track of opened.getTracks()) {
      const id = track.getSettings().deviceId ?? "";
      track.addEventListener("ended", () => this.onlost(/** @type {Kind} */ (track.kind), id));
    }
    this.stream = new MediaStream([...(this.stream?.getTracks() ?? []), ...opened.getTracks()]);
    return this.stream;
  }

  /** @param {Kind[]} kinds */
  #release(kinds) {
    const tracks = this.stream?.getTracks() ?? [];
    const kept = tracks.filter((track) => !kinds.includes(/** @type {Kind} */ (track.kind)));
    for (const track of tracks) if (!kept.includes(track)) track.stop();
    this.stream = kept.length ? new MediaStream(kept) : null;
  }
}

/**
 * @param {Wish} wish
 * @returns {MediaStreamConstraints}
 */
function constraints({ kinds, camera, facing, size, frameRate, microphone, processing }) {
  const [width, height] = SIZES[size];
  const exactly = (/** @type {string} */ id) => (id ? { deviceId: { exact: id } } : {});
  return {
    video: kinds.includes("video") && {
      ...(camera ? exactly(camera) : { facingMode: { ideal: facing } }),
      width: { ideal: width },
      height: { ideal: height },
      frameRate: { ideal: frameRate },
    },
    audio: kinds.includes("audio") && {
      ...exactly(microphone),
      echoCancellation: processing,
      noiseSuppression: processing,
      autoGainControl: processing,
      // What clears a voice makes it mono.
      ...(processing ? {} : { channelCount: { ideal: 2 } }),
    },
  };
}

/** Those of which there is no device at all, or every one where that cannot be told. @param {Kind[]} kinds */
async function absent(kinds) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const missing = kinds.filter((kind) => !devices.some((device) => device.kind === `${kind}input`));
  return missing.length ? missing : kinds;
}

/** The devices of a kind; before permission browsers give them neither a label nor an id. @param {Kind} kind */
export async function listDevices(kind) {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === `${kind}input` && device.deviceId);
}

/** Whether this is a phone or a tablet, which has a camera on each side. */
export const hasTwoSides = () => matchMedia("(pointer: coarse)").matches;
