"""A flash and a click at once, sent from a page, and when they are seen and heard."""

from playwright.async_api import Page

# `watch(stream)` notes when a white picture is shown after a dark one, or first of all, and when
# something loud is played after a tenth of a second of quiet, in ms of `performance.now()`.
WATCH = """
() => {
  window.watch = (stream) => {
    const noted = { flashes: [], clicks: [] };
    const video = document.createElement("video");
    [video.autoplay, video.width] = [true, 80];
    video.srcObject = stream;
    document.body.append(video);
    void look(video, noted.flashes);
    void listen(stream.getAudioTracks()[0], noted.clicks);
    return noted;
  };

  const look = (video, flashes) => {
    const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    let light = false;
    const shown = (_, { expectedDisplayTime }) => {
      video.requestVideoFrameCallback(shown);
      pixel.drawImage(video, 0, 0, 1, 1);
      const white = pixel.getImageData(0, 0, 1, 1).data[1] > 128;
      if (white && !light) flashes.push(expectedDisplayTime);
      light = white;
    };
    video.requestVideoFrameCallback(shown);
  };

  const listen = async (track, clicks) => {
    // Of more than ten parts that wait for a busy page, the oldest would be dropped.
    const processor = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 });
    const reader = processor.readable.getReader();
    let quiet = Infinity;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const now = performance.now();
      const part = new Float32Array(value.numberOfFrames);
      value.copyTo(part, { planeIndex: 0, format: "f32-planar" });
      value.close();
      part.forEach((sample, at) => {
        if (Math.abs(sample) < 0.2) {
          quiet++;
          return;
        }
        if (quiet > 4800) clicks.push(now - (part.length - at) / 48);
        quiet = 0;
      });
    }
  };
}
"""

# A clapperboard: each second a picture turns white for 0.3 s and, with it, a click, in one
# MediaStream; ten pictures a second, so that a function of 80 ms gets each. A hum keeps the sound
# going: without, Chromium stops sending.
CLAP = """
async () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 240];
  document.body.append(canvas);
  const pencil = canvas.getContext("2d");
  const context = new AudioContext({ sampleRate: 48000 });
  const outlet = context.createMediaStreamDestination();
  const hum = new OscillatorNode(context, { frequency: 200 });
  hum.connect(new GainNode(context, { gain: 0.02 })).connect(outlet);
  hum.start();
  const wave = Float32Array.from({ length: 480 }, (_, at) => Math.sin(Math.PI * at / 24));
  const buffer = context.createBuffer(1, 480, 48000);
  buffer.copyToChannel(wave, 0);
  window.claps = [];
  let number = 0;
  setInterval(() => {
    const phase = number++ % 10;
    pencil.fillStyle = phase < 3 ? "#fff" : phase % 2 ? "#000" : "#111";
    pencil.fillRect(0, 0, 320, 240);
    if (phase) return;
    claps.push(performance.now());
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(outlet);
    source.start();
  }, 100);

  const tracks = [...canvas.captureStream().getTracks(), ...outlet.stream.getTracks()];
  const { RtcStream } = await import("./static/rtcstream.js");
  const stream = new RtcStream();
  await stream.start({ tracks });
  window.direct = watch(new MediaStream(tracks));
  window.through = watch(stream.media);
}
"""

# A session of the page's stream, to the first picture and the first sound: how many ms each came
# after the first result, which is the time of the server's clock, or after the connection.
FIRST = """
async () => {
  const { RtcStream } = await import("./static/rtcstream.js");
  const stream = new RtcStream();
  const yielded = new Promise((resolve) => stream.on("result", ({ data }) => resolve(data)));
  const connected = new Promise((resolve) => stream.on("connectionstatechange", (state) => {
    if (state === "connected") resolve(performance.timeOrigin + performance.now());
  }));
  let noted = { flashes: [], clicks: [] };
  stream.on("track", () => {
    if (stream.media.getTracks().length === 2) noted = watch(stream.media);
  });
  await stream.start();
  const begun = Math.max(await yielded, await connected);
  while (!noted.flashes.length || !noted.clicks.length) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await stream.stop();
  return [noted.flashes[0], noted.clicks[0]].map((each) => performance.timeOrigin + each - begun);
}
"""


async def clap(page: Page) -> None:
    """Send claps through the page's stream, and to its own screen and speaker directly."""
    await page.evaluate(WATCH)
    await page.evaluate(CLAP)


async def gaps(page: Page, way: str) -> list[float]:
    """By how many ms each clap's flash was seen after its click was heard; the way is `through` or
    `direct`."""
    claps, noted = await page.evaluate(f"[claps, {way}]")
    pairs = [(_next(noted["flashes"], at), _next(noted["clicks"], at)) for at in claps[:-1]]
    return [flash - click for flash, click in pairs if flash and click]


async def first(page: Page) -> tuple[float, float]:
    """How many ms after the first yield its picture is seen and its sound heard."""
    await page.evaluate(WATCH)
    picture, sound = await page.evaluate(FIRST)
    return picture, sound


def _next(times: list[float], at: float) -> float | None:
    """The first within the second that a clap lasts."""
    return next((time for time in times if at < time < at + 950), None)
