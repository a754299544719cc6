/** The few figures that people ask for, out of the many that `RTCPeerConnection.getStats` has. */

/**
 * @typedef {object} Sample what has been so far
 * @property {number} time milliseconds
 * @property {number} received bytes
 * @property {number} sent bytes
 * @property {number} played samples of sound
 * @property {number} waited seconds that those were held back, added up
 */
/**
 * @typedef {object} Summary `null` where there is none or nothing is known yet
 * @property {number | null} fps frames received a second
 * @property {number | null} fpsSent frames sent a second
 * @property {number | null} roundTrip milliseconds
 * @property {number | null} bitrateReceived bit/s of all media
 * @property {number | null} bitrateSent bit/s of all media
 * @property {number | null} soundDelay milliseconds that sound was held back for, against gaps
 * @property {number | null} soundConcealed the share of all sound so far that was made up for gaps
 * @property {number | null} width of the picture received
 * @property {number | null} height of the picture received
 * @property {number | null} framesDropped received, but not shown
 */

/**
 * @param {RTCStatsReport} report
 * @param {Sample | null} before the sample of the last call: bit rates need two
 * @returns {{ summary: Summary, sample: Sample }}
 */
export function summarize(report, before) {
  // The DOM's types stop at RTCStats: what each kind carries is in the W3C's webrtc-stats.
  const all = /** @type {any[]} */ ([]);
  report.forEach((each) => all.push(each));
  const first = (/** @type {string} */ type, /** @type {string} */ kind) =>
    all.find((each) => each.type === type && each.kind === kind);
  const has = (/** @type {string} */ type) => all.some((each) => each.type === type);
  const total = (/** @type {string} */ type, /** @type {string} */ bytes) =>
    all.reduce((sum, each) => sum + (each.type === type ? each[bytes] ?? 0 : 0), 0);

  const inbound = first("inbound-rtp", "video");
  const outbound = first("outbound-rtp", "video");
  const sound = first("inbound-rtp", "audio");
  const selected = all.find((each) => each.type === "transport")?.selectedCandidatePairId;
  const pair = all.find((each) => each.id === selected)
    ?? all.find((each) => each.type === "candidate-pair" && each.nominated);
  const sample = {
    time: performance.now(),
    received: total("inbound-rtp", "bytesReceived"),
    sent: total("outbound-rtp", "bytesSent"),
    played: sound?.jitterBufferEmittedCount ?? 0,
    waited: sound?.jitterBufferDelay ?? 0,
  };
  const played = sample.played - (before?.played ?? 0);
  const rate = (/** @type {"received" | "sent"} */ way) =>
    before && (8000 * (sample[way] - before[way])) / (sample.time - before.time);
  const summary = {
    fps: inbound ? inbound.framesPerSecond ?? 0 : null,
    fpsSent: outbound ? outbound.framesPerSecond ?? 0 : null,
    roundTrip: pair?.currentRoundTripTime === undefined ? null : 1000 * pair.currentRoundTripTime,
    bitrateReceived: has("inbound-rtp") ? rate("received") : null,
    bitrateSent: has("outbound-rtp") ? rate("sent") : null,
    width: inbound?.frameWidth ?? null,
    height: inbound?.frameHeight ?? null,
    framesDropped: inbound?.framesDropped ?? null,
    soundDelay: played > 0 ? (1000 * (sample.waited - (before?.waited ?? 0))) / played : null,
    soundConcealed: sound?.totalSamplesReceived ? sound.concealedSamples / sound.totalSamplesReceived : null,
  };
  return { summary, sample };
}
