/** From a control's `input` event to the first picture that shows its value, on rtcstream's own page. */

import { NUMBERS, read } from "./barcode.js";

/** ms between two changes: no multiple of a frame's 33.3, so that they fall on all phases of it. */
const INTERVAL_MS = 307;
const LONGEST_MS = 5_000;

const video = /** @type {HTMLVideoElement} */ (document.querySelector("#output"));

/** When the first picture has come. */
export async function shown() {
  await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
}

/** @param {number} changes @returns {Promise<number[]>} ms of each; `LONGEST_MS` where none came */
export async function measure(changes) {
  const slider = /** @type {HTMLInputElement} */ (document.querySelector("[data-control=number] input"));
  const latencies = [];
  let number = 0;
  for (let change = 0; change < changes; change++) {
    // Half of the numbers away, and a little, from the last: never the same.
    number = (number + NUMBERS / 2 + 1) % NUMBERS;
    latencies.push(await set(slider, number));
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
  return latencies;
}

/** @param {HTMLInputElement} slider @param {number} number @returns {Promise<number>} */
function set(slider, number) {
  return new Promise((resolve) => {
    const start = performance.now();
    const timer = setTimeout(() => resolve(LONGEST_MS), LONGEST_MS);
    /** @type {VideoFrameRequestCallback} */
    const onFrame = (now) => {
      if (read(video) === number) {
        clearTimeout(timer);
        resolve(now - start);
      } else if (performance.now() - start < LONGEST_MS) {
        video.requestVideoFrameCallback(onFrame);
      }
    };
    video.requestVideoFrameCallback(onFrame);
    slider.value = String(number);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
