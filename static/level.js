/** How loud a track is, as it sounds. */

/** One for the whole page: browsers do not give many. @type {AudioContext | undefined} */
let context;

/** To be called from a click, because browsers let nothing sound, or listen, before one. */
export function wake() {
  context ??= new AudioContext();
  void context.resume();
}

/** Until the next `wake()`, it takes no processor time. */
export function rest() {
  void context?.suspend();
}

export class Level {
  #source;
  #analyser;
  #samples;

  /** @param {MediaStreamTrack} track */
  constructor(track) {
    context ??= new AudioContext();
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#analyser = new AnalyserNode(context, { fftSize: 2048 });
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
  }

  /** The loudest of the last 40 ms or so, 0..1. */
  get peak() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return Math.min(1, this.#samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
  }

  close() {
    this.#source.disconnect();
  }
}

/** As people hear it: 0 is 60 decibels below full scale, and less. @param {number} peak */
export const loudness = (peak) => Math.max(0, 1 + Math.log10(Math.max(peak, 1e-9)) / 3);

/**
 * Calls with each picture that the screen shows.
 * @param {(time: number) => void} draw
 * @returns {() => void} ends it
 */
export function everyFrame(draw) {
  let handle = requestAnimationFrame(function next(time) {
    handle = requestAnimationFrame(next);
    draw(time);
  });
  return () => cancelAnimationFrame(handle);
}
