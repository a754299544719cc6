/**
 * The time from drawing a picture on a canvas to seeing it in a video element, by way of a server
 * or of another peer connection in this page.
 */

import { NUMBERS, draw, read } from "./barcode.js";

// Not a multiple of the screen's 16.7 ms, so that drawing falls on every phase of the refresh
// alike: in step with it, all latencies would be multiples of 16.7 ms, and so would a median.
const INTERVAL_MS = 33;
const FIRST_FRAME_MS = 15_000;

/** @typedef {{ at: number, latency: number }} Sample both in ms; `at` since the first frame */

/**
 * @param {{ session: string | null, warmup: number, seconds: number }} options `session`: where to
 *     post the offer, `null` for the browser's own echo; what is seen in the first `warmup` seconds
 *     is not counted
 */
export async function measure({ session, warmup, seconds }) {
  const source = startDrawing();
  const connections = [new RTCPeerConnection()];
  try {
    const [local] = connections;
    const transceiver = local.addTransceiver(source.track, { direction: "sendrecv" });
    local.createDataChannel("rtcstream");
    await local.setLocalDescription();
    await gathered(local);
    const offer = /** @type {RTCSessionDescription} */ (local.localDescription);
    if (session === null) connections.push(new RTCPeerConnection());
    const answer = session === null ? await echo(connections[1], offer) : await post(session, offer);
    await local.setRemoteDescription({ type: "answer", sdp: answer });

    const video = /** @type {HTMLVideoElement} */ (document.querySelector("video"));
    video.srcObject = new MediaStream([transceiver.receiver.track]);
    return {
      ...(await watch(video, source.drawn, 1000 * warmup, 1000 * seconds)),
      codec: await codec(transceiver.receiver),
      size: [video.videoWidth, video.videoHeight],
    };
  } finally {
    source.stop();
    for (const connection of connections) connection.close();
  }
}

/** Draws numbered pictures on the page's canvas; `drawn` has the time at which each number was. */
function startDrawing() {
  const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector("canvas"));
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
    context.arc((number * (2 + ball) + 80 * ball) % width, 120 + 40 * ball, 30, 0, 2 * Math.PI);
    context.fill();
  }
}

/** @param {RTCPeerConnection} connection */
async function gathered(connection) {
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      connection.addEventListener("icegatheringstatechange", resolve, { once: true });
    });
  }
}

/** @param {string} session @param {RTCSessionDescription} offer */
async function post(session, offer) {
  const headers = { "Content-Type": "application/sdp" };
  const response = await fetch(session, { method: "POST", headers, body: offer.sdp });
  const text = await response.text();
  if (!response.ok) throw new Error(`${session} answered ${response.status}: ${text}`);
  return text;
}

/** Answers an offer, and sends what comes back where it came from. @param {RTCPeerConnection} remote @param {RTCSessionDescription} offer */
async function echo(remote, offer) {
  await remote.setRemoteDescription(offer);
  const [transceiver] = remote.getTransceivers();
  transceiver.direction = "sendrecv";
  await transceiver.sender.replaceTrack(transceiver.receiver.track);
  await remote.setLocalDescription();
  await gathered(remote);
  return /** @type {RTCSessionDescription} */ (remote.localDescription).sdp;
}

/**
 * @param {HTMLVideoElement} video
 * @param {Float64Array} drawn
 * @param {number} warmup
 * @param {number} duration
 * @returns {Promise<{ samples: Sample[], unreadable: number }>}
 */
function watch(video, drawn, warmup, duration) {
  /** @type {Sample[]} */
  const samples = [];
  let unreadable = 0;
  let last = -1;
  /** @type {number | null} */
  let first = null;
  return new Promise((resolve, reject) => {
    // On a timer too: a video that stands still has no callbacks.
    let timer = setTimeout(() => reject(new Error("no picture came back")), FIRST_FRAME_MS);
    /** @type {VideoFrameRequestCallback} */
    const onFrame = (now) => {
      video.requestVideoFrameCallback(onFrame);
      if (first === null) {
        first = now;
        clearTimeout(timer);
        timer = setTimeout(() => resolve({ samples, unreadable }), warmup + duration);
      }
      const at = now - first;
      const number = read(video);
      if (at < warmup || number === last) return;
      if (number === null) unreadable++;
      else samples.push({ at, latency: now - drawn[number] });
      last = number ?? last;
    };
    video.requestVideoFrameCallback(onFrame);
  });
}

/** @param {RTCRtpReceiver} receiver */
async function codec(receiver) {
  /** @type {any[]} */
  const reports = [];
  (await receiver.getStats()).forEach((report) => reports.push(report));
  const { codecId } = reports.find((each) => each.type === "inbound-rtp") ?? {};
  return reports.find((each) => each.id === codecId)?.mimeType ?? null;
}
