/**
 * The time from drawing a picture on a canvas to seeing it in a video element, by way of a server
 * or of another peer connection in this page.
 */

import { NUMBERS, draw, read } from "./barcode.js";
import { connect, statistics } from "./connect.js";

// Not a multiple of the screen's 16.7 ms, so that drawing falls on every phase of the refresh
// alike: in step with it, all latencies would be multiples of 16.7 ms, and so would a median.
const INTERVAL_MS = 33;
const FIRST_FRAME_MS = 15_000;

/** @typedef {{ at: number, latency: number }} Sample both in ms; `at` by the page's clock */
/**
 * `session`: where to post the offer, `null` for the browser's own echo; `size` of the canvas, or
 * the camera's picture in its place, which has no numbers; `bitrate`: what the page sends at most
 * @typedef {{ session: string | null, size?: [number, number], camera?: boolean, bitrate?: number }} Options
 */

/**
 * Opens a call, and watches for so long; what is seen in the first `warmup` seconds is not counted.
 * @param {Options & { warmup: number, seconds: number }} options
 */
export async function measure({ warmup, seconds, ...options }) {
  const call = await open(options);
  try {
    await pause(1000 * warmup);
    call.take();
    await pause(1000 * seconds);
    const { codec, frameWidth, frameHeight } = await call.statistics();
    const { samples, unreadable } = call.take();
    const start = samples[0]?.at ?? 0;
    const since = samples.map(({ at, latency }) => ({ at: at - start, latency }));
    const server = call.told.stages?.total ?? null;
    return { samples: since, unreadable, codec, size: [frameWidth, frameHeight], server };
  } finally {
    call.close();
  }
}

/** A call whose first picture is on the screen. @param {Options} options */
export async function open({ session, size = [640, 480], camera = false, bitrate }) {
  const source = camera ? await openCamera(size) : startDrawing(size);
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  const close = () => {
    source.stop();
    for (const connection of connections) connection.close();
  };
  try {
    const encodings = bitrate === undefined ? undefined : [{ maxBitrate: bitrate }];
    const { receiver, told } = await connect(source.track, session, connections, encodings);
    const video = /** @type {HTMLVideoElement} */ (document.querySelector("video"));
    video.srcObject = new MediaStream([receiver.track]);
    const { first, take } = watch(video, source.drawn);
    const shown = await first;
    const [posted] = session === null ? [] : performance.getEntriesByName(new URL(session, location.href).href);
    // From the moment of the POST; the browser's own echo has none.
    const start = posted === undefined ? null : shown - posted.startTime;
    return { start, take, told, statistics: () => statistics(receiver), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** @param {[number, number]} size */
async function openCamera([width, height]) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width, height } });
  const [track] = stream.getVideoTracks();
  return { track, drawn: null, stop: () => track.stop() };
}

/** Draws numbered pictures on the page's canvas; `drawn` has the time at which each number was. @param {[number, number]} size */
function startDrawing([width, height]) {
  const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector("canvas"));
  Object.assign(canvas, { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const drawn = new Float64Array(NUMBERS);
  let count = 0;
  const timer = setInterval(() => {
    const number = count++ % NUMBERS;
    drawn[number] = performance.now();
    scene(context, number);
    draw(context, number);
  }, INTERVAL_MS);
  // Without a frame rate: each picture that is drawn, and none twice.
  const [track] = canvas.captureStream().getVideoTracks();
  const stop = () => {
    clearInterval(timer);
    track.stop();
  };
  return { track, drawn, stop };
}

/** Something that moves, so that there is something to encode. @param {CanvasRenderingContext2D} context @param {number} number */
function scene(context, number) {
  const { width, height } = context.canvas;
  const sky = context.createLinearGradient(0, 0, width, height);
  sky.addColorStop(0, "#246");
  sky.addColorStop(1, "#c84");
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  for (let ball = 0; ball < 8; ball++) {
    context.fillStyle = `hsl(${45 * ball} 70% 60%)`;
    context.beginPath();
    const [x, y] = [(number * (2 + ball) + 80 * ball) % 640, 120 + 40 * ball];
    context.arc((x * width) / 640, (y * height) / 480, height / 16, 0, 2 * Math.PI);
    context.fill();
  }
}

/**
 * Watches a video element. `take` gives what was seen since it was last called: the pictures with a
 * number, how many could not be read, and when any was shown, unless it was the same as before.
 * @param {HTMLVideoElement} video
 * @param {Float64Array | null} drawn
 */
function watch(video, drawn) {
  /** @type {{ samples: Sample[], shown: number[], unreadable: number }} */
  let seen = { samples: [], shown: [], unreadable: 0 };
  let last = -1;
  /** @type {(now: number) => void} */
  let begin;
  const first = new Promise((resolve, reject) => {
    // On a timer too: a video that stands still has no callbacks.
    const timer = setTimeout(() => reject(new Error("no picture came back")), FIRST_FRAME_MS);
    begin = (now) => {
      clearTimeout(timer);
      resolve(now);
    };
  });
  /** @type {VideoFrameRequestCallback} */
  const onFrame = (now) => {
    video.requestVideoFrameCallback(onFrame);
    begin(now);
    const number = drawn === null ? null : read(video);
    if (number !== null && number === last) return;
    seen.shown.push(now);
    if (number === null) seen.unreadable++;
    else if (drawn !== null) seen.samples.push({ at: now, latency: now - drawn[number] });
    last = number ?? last;
  };
  video.requestVideoFrameCallback(onFrame);
  const take = () => {
    const taken = seen;
    seen = { samples: [], shown: [], unreadable: 0 };
    return taken;
  };
  return { first, take };
}
