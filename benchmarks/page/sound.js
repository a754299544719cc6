/**
 * The time from a click in Web Audio to hearing it again, by way of a server or of another peer
 * connection in this page. Both ends are on one clock, that of the AudioContext, to the sample.
 */

import { connect, statistics } from "./connect.js";

const RATE = 48_000;
// No multiple of a packet's 20 ms, so that clicks fall on every phase of the packets alike.
const INTERVAL = 0.2513;
const CLICK_SECONDS = 0.008;
/** In Hz, from where to where; a click differs from those before it, so that it is told from them. */
const SWEEPS = [[1500, 6000], [2000, 500], [6000, 1500], [500, 2000]].map(([from, to]) => sweep(from, to));
const LONGEST = SWEEPS.length * INTERVAL - 0.02;
const LEAST_LIKENESS = 0.6;
const FIRST_SOUND_MS = 15_000;

/** @typedef {{ at: number, latency: number }} Sample both in ms; `at` since the first click */
/** @typedef {{ at: number, sweep: Float32Array }} Click `at`: its first sample's number */
/** @typedef {{ at: number, samples: Float32Array }} Heard likewise */

/**
 * @param {{ session: string | null, warmup: number, seconds: number }} options `session`: where to
 *     post the offer, `null` for the browser's own echo; the clicks of the first `warmup` seconds
 *     are not counted
 */
export async function measure({ session, warmup, seconds }) {
  const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  /** @type {RTCPeerConnection[]} */
  const connections = [];
  try {
    await context.audioWorklet.addModule("./recorder.js");
    const mouth = context.createMediaStreamDestination();
    mouth.channelCount = 1;
    const silence = new ConstantSourceNode(context, { offset: 0 }); // between clicks, too, sound is sent
    silence.connect(mouth);
    silence.start();
    const { receiver } = await connect(mouth.stream.getAudioTracks()[0], session, connections);
    const ear = new MediaStream([receiver.track]);
    const element = /** @type {HTMLAudioElement} */ (document.querySelector("audio"));
    element.srcObject = ear; // without, Chromium does not decode
    await arrived(receiver);

    /** @type {Heard[]} */
    const heard = [];
    const mono = /** @type {const} */ ({ channelCount: 1, channelCountMode: "explicit" });
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, ...mono });
    recorder.port.onmessage = ({ data }) => heard.push(data);
    context.createMediaStreamSource(ear).connect(recorder);
    const start = context.currentTime + 0.1;
    const clicks = plan(context, mouth, start, warmup + seconds);
    await until(context, start + warmup + seconds + LONGEST);
    const counted = clicks.filter(({ at }) => at >= (start + warmup) * RATE);
    const { codec } = await statistics(receiver);
    return { ...find(counted, joined(heard)), codec, size: [0, 0] };
  } finally {
    for (const connection of connections) connection.close();
    await context.close();
  }
}

/**
 * A short sweep, faded in and out: found again more surely than a single pulse, which no codec keeps.
 * @param {number} from @param {number} to
 */
function sweep(from, to) {
  const count = Math.round(CLICK_SECONDS * RATE);
  return Float32Array.from({ length: count }, (_, index) => {
    const cycles = (index / RATE) * (from + ((to - from) * index) / count / 2);
    return 0.5 * Math.sin((Math.PI * index) / count) ** 2 * Math.sin(2 * Math.PI * cycles);
  });
}

/**
 * Plans the clicks, all of them beforehand.
 * @param {AudioContext} context @param {AudioNode} mouth @param {number} start @param {number} seconds
 * @returns {Click[]}
 */
function plan(context, mouth, start, seconds) {
  return Array.from({ length: Math.floor(seconds / INTERVAL) }, (_, index) => {
    const at = Math.round((start + index * INTERVAL) * RATE);
    const buffer = context.createBuffer(1, CLICK_SECONDS * RATE, RATE);
    buffer.copyToChannel(SWEEPS[index % SWEEPS.length], 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(mouth);
    source.start(at / RATE);
    return { at, sweep: SWEEPS[index % SWEEPS.length] };
  });
}

/** @param {Heard[]} heard @returns {Heard} all of it as one; a hole is silence */
function joined(heard) {
  const [first, last] = [heard[0], heard[heard.length - 1]];
  const samples = new Float32Array(last.at + last.samples.length - first.at);
  for (const block of heard) samples.set(block.samples, block.at - first.at);
  return { at: first.at, samples };
}

/**
 * Looks for each click behind the moment at which it was made.
 * @param {Click[]} clicks @param {Heard} heard
 * @returns {{ samples: Sample[], unreadable: number }}
 */
function find(clicks, heard) {
  const found = clicks.map(({ at, sweep }) => {
    const from = at - heard.at;
    const delay = likest(heard.samples.subarray(from, from + LONGEST * RATE), sweep);
    return { at: (1000 * (at - clicks[0].at)) / RATE, latency: (1000 * delay) / RATE };
  });
  const samples = found.filter(({ latency }) => latency >= 0);
  return { samples, unreadable: found.length - samples.length };
}

/**
 * Where a sweep is in the sound, by the highest correlation, or -1.
 * @param {Float32Array} sound @param {Float32Array} sweep
 */
function likest(sound, sweep) {
  const energy = (/** @type {Float32Array} */ part) => part.reduce((sum, each) => sum + each * each, 0);
  let [best, place] = [0, -1];
  for (let start = 0; start + sweep.length <= sound.length; start++) {
    let product = 0;
    for (let index = 0; index < sweep.length; index++) product += sound[start + index] * sweep[index];
    if (product > best) [best, place] = [product, start];
  }
  if (place < 0) return -1;
  const likeness = best / Math.sqrt(energy(sweep) * energy(sound.subarray(place, place + sweep.length)));
  return likeness >= LEAST_LIKENESS ? place : -1;
}

/** Sound has come, by the receiver's own count. @param {RTCRtpReceiver} receiver */
async function arrived(receiver) {
  const deadline = performance.now() + FIRST_SOUND_MS;
  while (!(await statistics(receiver)).packetsReceived) {
    if (performance.now() > deadline) throw new Error("no sound came back");
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** @param {AudioContext} context @param {number} time on its clock, in seconds */
async function until(context, time) {
  while (context.currentTime < time) {
    await new Promise((resolve) => { setTimeout(resolve, 1000 * (time - context.currentTime)); });
  }
}
