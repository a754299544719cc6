"""What the browser tests listen to: the samples that a page plays."""

import base64
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page

RATE = 48_000
Mono = NDArray[np.float32]

# The samples of the track that an element plays, as the browser decodes them.
RECORD = """
async ([selector, seconds]) => {
  const [track] = document.querySelector(selector).srcObject.getAudioTracks();
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const parts = [];
  let count = 0, rate = 48000;
  while (count < seconds * rate) {
    const { value } = await reader.read();
    rate = value.sampleRate;
    const part = new Float32Array(value.numberOfFrames);
    value.copyTo(part, { planeIndex: 0, format: "f32-planar" });
    value.close();
    parts.push(part);
    count += part.length;
  }
  reader.releaseLock();
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return [rate, btoa(text)];
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
    rate, text = await page.evaluate(RECORD, [selector, seconds])
    assert rate == RATE
    return np.frombuffer(base64.b64decode(text), np.float32)


def likeness(heard: Mono, source: Mono) -> float:
    """The greatest normalised cross-correlation of a piece with any place of a looped source."""
    loop = np.concatenate([source, source]).astype(np.float64)
    piece = heard.astype(np.float64)
    size = 1 << (len(loop) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(loop, size) * np.conj(np.fft.rfft(piece, size)), size)
    count = len(loop) - len(piece)
    power = np.concatenate([[0.0], np.cumsum(loop**2)])
    energies = power[len(piece) : len(piece) + count] - power[:count]
    norms = np.sqrt(np.maximum(energies, 1e-9) * np.sum(piece**2))
    return float(np.max(products[:count] / np.maximum(norms, 1e-9)))


def pitch(heard: Mono) -> float:
    """The strongest frequency in Hz, to a fraction of a bin."""
    window = heard * np.hanning(len(heard))
    spectrum = np.abs(np.fft.rfft(window))
    peak = int(np.argmax(spectrum[1:-1])) + 1
    low, middle, high = np.log(spectrum[peak - 1 : peak + 2] + 1e-12)
    return float((peak + 0.5 * (low - high) / (low - 2 * middle + high)) * RATE / len(heard))
