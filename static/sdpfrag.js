/**
 * The body of a trickle request (RFC 8840, section 9; RFC 9725, section 4.3.1).
 * @param {string} sdp the offer
 * @param {(RTCIceCandidate | null)[]} candidates `null` for the end of them
 */
export function sdpFragment(sdp, candidates) {
  const kinds = [...sdp.matchAll(/^m=(\w+)/gm)].map((match) => match[1]);
  const mids = [...sdp.matchAll(/^a=mid:(.*?)\r?$/gm)].map((match) => match[1]);
  const lines = [...sdp.matchAll(/^a=ice-(?:ufrag|pwd):.*?(?=\r?$)/gm)].slice(0, 2).map((match) => match[0]);
  mids.forEach((mid, index) => {
    // Everything is bundled, so that the first section's end is the end of all.
    const own = candidates.filter((each) => each ? each.sdpMid === mid : index === 0);
    if (!own.length) return;
    lines.push(`m=${kinds[index]} 9 RTP/AVP 0`, `a=mid:${mid}`);
    for (const each of own) lines.push(each ? `a=${each.candidate}` : "a=end-of-candidates");
  });
  return lines.map((line) => `${line}\r\n`).join("");
}
