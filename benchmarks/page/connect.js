/** The page's side of a session that is measured: the same code for every route. */

/**
 * Sends a track and gives what comes back, by way of a server or of another connection in this page;
 * `told.stages` is what rtcstream last said of a picture's stages: the median and p95 of each, in ms.
 * @param {MediaStreamTrack} track
 * @param {string | null} session where to post the offer; `null` for the browser's own echo
 * @param {RTCPeerConnection[]} connections what was opened: for the caller to close
 * @param {RTCRtpEncodingParameters[]} [sendEncodings]
 */
export async function connect(track, session, connections, sendEncodings) {
  const local = new RTCPeerConnection();
  connections.push(local);
  const transceiver = local.addTransceiver(track, { direction: "sendrecv", sendEncodings });
  await keepSize(transceiver.sender);
  /** @type {{ stages: Record<string, [number, number]> | null }} */
  const told = { stages: null };
  local.createDataChannel("rtcstream").addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "stats") told.stages = message.stages;
  });
  await local.setLocalDescription();
  await gathered(local);
  const offer = /** @type {RTCSessionDescription} */ (local.localDescription);
  if (session === null) connections.push(new RTCPeerConnection());
  const answer = session === null ? await echo(connections[1], offer) : await post(session, offer);
  await local.setRemoteDescription({ type: "answer", sdp: answer });
  return { receiver: transceiver.receiver, told };
}

/** While it learns what the network can take, a browser sends pictures smaller than they are. @param {RTCRtpSender} sender */
async function keepSize(sender) {
  if (sender.track?.kind !== "video") return;
  const parameters = /** @type {any} */ (sender.getParameters()); // not yet known to TypeScript
  parameters.degradationPreference = "maintain-resolution";
  await sender.setParameters(parameters);
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
async function post(session, { type, sdp }) {
  const fastrtc = session.endsWith("/webrtc/offer"); // it wants JSON and answers so
  const headers = { "Content-Type": fastrtc ? "application/json" : "application/sdp" };
  const body = fastrtc ? JSON.stringify({ sdp, type, webrtc_id: crypto.randomUUID() }) : sdp;
  const response = await fetch(session, { method: "POST", headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${session} answered ${response.status}: ${text}`);
  return fastrtc ? JSON.parse(text).sdp : text;
}

/** Answers an offer, and sends what comes back where it came from. @param {RTCPeerConnection} remote @param {RTCSessionDescription} offer */
async function echo(remote, offer) {
  await remote.setRemoteDescription(offer);
  const [transceiver] = remote.getTransceivers();
  transceiver.direction = "sendrecv";
  await transceiver.sender.replaceTrack(transceiver.receiver.track);
  await keepSize(transceiver.sender);
  await remote.setLocalDescription();
  await gathered(remote);
  return /** @type {RTCSessionDescription} */ (remote.localDescription).sdp;
}

/** @param {RTCRtpReceiver} receiver @returns {Promise<any>} the statistics of what came, with its codec's name */
export async function statistics(receiver) {
  /** @type {any[]} */
  const reports = [];
  (await receiver.getStats()).forEach((report) => reports.push(report));
  const inbound = reports.find((each) => each.type === "inbound-rtp") ?? {};
  const codec = reports.find((each) => each.id === inbound.codecId)?.mimeType ?? null;
  return { ...inbound, codec };
}
