"""What the browser tests listen to: the samples that a page plays."""

import base64
import subprocess
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page

RATE = 48_000
MARGIN = RATE // 5
"""Samples by which the browser's statistics may be early or late."""
Mono = NDArray[np.float32]

# The samples of the track that an element plays, as the browser decodes them; and, ten times a
# second, how many there are by then, and how many the browser has made up, put in and left out.
RECORD = """
async ([selector, seconds]) => {
  const [track] = document.querySelector(selector).srcObject.getAudioTracks();
  // Of more than ten parts that wait for a busy page, the oldest would be dropped.
  const processor = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 });
  const reader = processor.readable.getReader();
  const parts = [], marks = [];
  let count = 0, rate = 48000;
  const mark = async () => {
    for (const connection of connections) {
      for (const each of (await connection.getStats(track).catch(() => new Map())).values()) {
        if (each.type !== "inbound-rtp") continue;
        const put = each.insertedSamplesForDeceleration, left = each.removedSamplesForAcceleration;
        marks.push([count, each.concealedSamples, put, left]);
      }
    }
  };
  const timer = setInterval(mark, 100);
  while (count < seconds * rate) {
    const { value } = await reader.read();
    rate = value.sampleRate;
    const part = new Float32Array(value.numberOfFrames);
    value.copyTo(part, { planeIndex: 0, format: "f32-planar" });
    value.close();
    parts.push(part);
    count += part.length;
  }
  clearInterval(timer);
  reader.releaseLock();
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return [rate, btoa(text), marks];
}
"""


def speak(path: Path, text: str) -> Path:
    """A .wav of somebody saying the text, at 48 kHz, with half a second of silence behind."""
    raw = path.with_suffix(".raw.wav")
    subprocess.run(["espeak-ng", "-w", str(raw), "-s", "150", text], check=True)
    with wave.open(str(raw)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
    at = np.arange(0, len(samples), rate / RATE)
    whole = np.concatenate([np.interp(at, np.arange(len(samples)), samples), np.zeros(RATE // 2)])
    return write(path, 0.8 * whole / np.abs(whole).max())


def write(path: Path, samples: NDArray[Any]) -> Path:
    """A mono .wav of samples at 48 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def read(path: Path) -> Mono:
    """The samples of such a .wav."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return (samples / 32_768).astype(np.float32)


async def record(page: Page, seconds: float, selector: str = "#sound") -> Mono:
    """What an element of the page plays during the next seconds: the left channel, at 48 kHz."""
    return (await listen(page, seconds, selector))[0]


async def listen(
    page: Page, seconds: float, selector: str = "#sound"
) -> tuple[Mono, list[tuple[int, int]]]:
    """The same, with the stretches of it in which the browser played all that came as it came.

    By its own statistics: elsewhere it concealed a loss, or stretched or shortened the sound.
    """
    rate, text, marks = await page.evaluate(RECORD, [selector, seconds])
    assert rate == RATE
    heard = np.frombuffer(base64.b64decode(text), np.float32)
    stretches, begin = [], 0
    for (before, *counts), (after, *later) in pairwise(marks):
        if counts != later:
            stretches.append((begin, before - MARGIN))
            begin = after + MARGIN
    stretches.append((begin, len(heard)))
    return heard, [(begin, end) for begin, end in stretches if end - begin > RATE]


def likeness(heard: Mono, source: Mono) -> float:
    """The greatest normalised cross-correlation of a piece with any place of a looped source."""
    return find(heard, np.concatenate([source, source]))[1]


def find(piece: Mono, source: Mono) -> tuple[int, float]:
    """The place in a source that a piece is most like, and its normalised cross-correlation."""
    whole, part = source.astype(np.float64), piece.astype(np.float64)
    size = 1 << (len(whole) + len(part)).bit_length()
    products = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size)), size)
    count = len(whole) - len(part)
    power = np.concatenate([[0.0], np.cumsum(whole**2)])
    energies = power[len(part) : len(part) + count] - power[:count]
    norms = np.sqrt(np.maximum(energies, 1e-9) * np.sum(part**2))
    scores = products[:count] / np.maximum(norms, 1e-9)
    place = int(np.argmax(scores))
    return place, float(scores[place])


def pitch(heard: Mono) -> float:
    """The strongest frequency in Hz, to a fraction of a bin."""
    window = heard * np.hanning(len(heard))
    spectrum = np.abs(np.fft.rfft(window))
    peak = int(np.argmax(spectrum[1:-1])) + 1
    low, middle, high = np.log(spectrum[peak - 1 : peak + 2] + 1e-12)
    return float((peak + 0.5 * (low - high) / (low - 2 * middle + high)) * RATE / len(heard))
