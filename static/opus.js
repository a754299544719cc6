/** Stereo in Opus, which has to be asked for (RFC 7587, section 6.1). */

/**
 * A description whose Opus is stereo both ways: `stereo` is what its author likes to get, and
 * `sprop-stereo` what it is likely to send. Chromium takes and sends mono without, and there is no
 * other place to say it. Whatever else the description says stays.
 * @param {string} sdp
 */
export function inStereo(sdp) {
  const map = /^a=rtpmap:(\d+) opus\/48000\/2/im.exec(sdp);
  if (!map) return sdp;
  const parameters = new RegExp(`^a=fmtp:${map[1]} (.*)`, "m");
  const given = parameters.exec(sdp)?.[1].split(";").map((each) => each.trim()) ?? [];
  const wanted = ["stereo", "sprop-stereo"].filter((name) => !given.some((each) => each.startsWith(`${name}=`)));
  const line = `a=fmtp:${map[1]} ${[...given, ...wanted.map((name) => `${name}=1`)].join(";")}`;
  // Functions, because a string would be searched for `$`.
  return given.length ? sdp.replace(parameters, () => line) : sdp.replace(map[0], () => `${map[0]}\r\n${line}`);
}
