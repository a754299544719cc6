/** The few figures that people ask for, out of the many that `RTCPeerConnection.getStats` has. */

/** @typedef {{ time: number, received: number, sent: number }} Sample milliseconds and bytes so far */
/**
 * @typedef {object} Summary of the video, `null` where there is none or nothing is known yet
 * @property {number | null} fps frames received a second
 * @property {number | null} fpsSent frames sent a second
 * @property {number | null} roundTrip milliseconds
 * @property {number | null} bitrateReceived bit/s of all media
 * @property {number | null} bitrateSent bit/s of all media
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
  const video = (/** @type {string} */ type) => all.find((each) => each.type === type && each.kind === "video");
  const total = (/** @type {string} */ type, /** @type {string} */ bytes) =>
    all.reduce((sum, each) => sum + (each.type === type ? each[bytes] ?? 0 : 0), 0);

  const inbound = video("inbound-rtp");
  const outbound = video("outbound-rtp");
  const selected = all.find((each) => each.type === "transport")?.selectedCandidatePairId;
  const pair = all.find((each) => each.id === selected)
    ?? all.find((each) => each.type === "candidate-pair" && each.nominated);
  const sample = {
    time: performance.now(),
    received: total("inbound-rtp", "bytesReceived"),
    sent: total("outbound-rtp", "bytesSent"),
  };
  const rate = (/** @type {"received" | "sent"} */ way) =>
    before && (8000 * (sample[way] - before[way])) / (sample.time - before.time);
  const summary = {
    fps: inbound ? inbound.framesPerSecond ?? 0 : null,
    fpsSent: outbound ? outbound.framesPerSecond ?? 0 : null,
    roundTrip: pair?.currentRoundTripTime === undefined ? null : 1000 * pair.currentRoundTripTime,
    bitrateReceived: rate("received"),
    bitrateSent: rate("sent"),
    width: inbound?.frameWidth ?? null,
    height: inbound?.frameHeight ?? null,
    framesDropped: inbound?.framesDropped ?? null,
  };
  return { summary, sample };
}
