/** When a track has something to show. */

/** Where a browser does not tell of a frame, it has one so long after its first packets; ms. */
const DECODED_MS = 1000;

/**
 * Resolves when a track that comes from a connection has its first frame, or ends; rejects when `signal` aborts.
 * @param {MediaStreamTrack} track
 * @param {AbortSignal} signal
 */
export async function firstFrame(track, signal) {
  const video = document.createElement("video");
  video.muted = video.playsInline = video.autoplay = true;
  video.srcObject = new MediaStream([track]);
  try {
    await new Promise((resolve, reject) => {
      const packets = () => setTimeout(resolve, DECODED_MS);
      if (!track.muted) packets();
      track.addEventListener("unmute", packets, { once: true, signal });
      track.addEventListener("ended", resolve, { once: true, signal });
      video.addEventListener("loadeddata", resolve, { once: true, signal });
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  } finally {
    video.srcObject = null;
  }
}
