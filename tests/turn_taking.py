"""Who speaks when, in a page: its microphone and what it plays, by one clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page

from rtcstream import Samples, Turn, Utterance
from tests.hearing import RATE, Mono, read, speak, write

PAUSE = 0.3
"""Seconds of silence that end a turn of `tone`'s."""
PHRASES = ("no wait", "stop that please", "hello there", "please go on", "what was that")
BETWEEN = 0.95
"""Seconds between two of them, in which the answer begins and is heard."""
LOUD = 0.02

# The loudest of each 2.5 ms of both tracks, with the browser's own time of it: what the page's
# scripts are busy with does not count.
TAP = """
() => {
  window.ears = { microphone: [], sound: [] };
  const tap = async (name, track) => {
    const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 2000 });
    for (const reader = readable.getReader();;) {
      const { value, done } = await reader.read();
      if (done) return;
      const part = new Float32Array(value.numberOfFrames);
      value.copyTo(part, { planeIndex: 0, format: "f32-planar" });
      const size = value.sampleRate / 400;
      for (let at = 0; at < part.length; at += size) {
        const loudest = part.subarray(at, at + size).reduce((m, s) => Math.max(m, Math.abs(s)), 0);
        ears[name].push(value.timestamp / 1000 + at / value.sampleRate * 1000, loudest);
      }
      value.close();
    }
  };
  const senders = connections.flatMap((each) => each.getSenders());
  tap("microphone", senders.find(({ track }) => track?.kind === "audio").track);
  tap("sound", document.querySelector("#sound").srcObject.getAudioTracks()[0]);
}
"""


def tone(words: Annotated[Utterance, Turn(pause=PAUSE)]) -> Iterator[Samples]:
    """Answers at once, without an end."""
    at = 0
    while True:
        yield 0.3 * np.sin(2 * np.pi * 500 * (np.arange(RATE // 20) + at) / RATE)
        at += RATE // 20


def phrases(folder: Path) -> Path:
    """A microphone with somebody who speaks again and again."""
    parts: list[Mono] = []
    for number, text in enumerate(PHRASES):
        sound = read(speak(folder / f"{number}.wav", text))
        first, last = np.flatnonzero(np.abs(sound) > LOUD)[[0, -1]]
        # Of changing length, so that no two begin at the same place of a packet.
        parts += [sound[first:last], np.zeros(round((BETWEEN + 0.017 * number) * RATE), np.float32)]
    return write(folder / "phrases.wav", np.concatenate(parts))


# Seconds that sound has waited in the browser's jitter buffer, summed over samples, and how many.
BUFFERED = """
async () => {
  const reports = await Promise.all(connections.map((each) => each.getStats()));
  const all = reports.flatMap((each) => [...each.values()]);
  const sound = all.find((each) => each.type === "inbound-rtp" && each.kind === "audio");
  return [sound.jitterBufferDelay, sound.jitterBufferEmittedCount];
}
"""


@dataclass(frozen=True)
class Heard:
    """What was measured, in milliseconds."""

    silenced: list[float]
    """From the first sample of speech to the last of the answer that it interrupts."""
    answered: list[float]
    """From the last sample of a turn to the first of its answer, less the pause that ends it."""
    buffered: float
    """How long sound waited in the browser's jitter buffer, which grows where a machine is late."""


async def begin(page: Page) -> None:
    """Listen from now on to both ends of a session that has begun."""
    await page.evaluate(f"async () => {{ window.before = await ({BUFFERED})(); ({TAP})(); }}")


async def heard(page: Page) -> Heard:
    """All since then."""
    ears: dict[str, list[float]] = await page.evaluate("ears")
    turns = _stretches(ears["microphone"], 1000 * PAUSE - 20)
    answers = _stretches(ears["sound"], 60)
    silenced, answered = [], []
    for begins, ends in turns:
        silenced += [end - begins for start, end in answers if start < begins < end]
        later = [start for start, _ in answers if ends < start < ends + 1500]
        answered += [start - ends - 1000 * PAUSE for start in later[:1]]
    (delay, count), (before, counted) = await page.evaluate(BUFFERED), await page.evaluate("before")
    return Heard(silenced, answered, 1000 * (delay - before) / (count - counted))


def _stretches(marks: list[float], gap: float) -> list[tuple[float, float]]:
    """When each begins and ends that is loud, but for gaps of up to so many milliseconds."""
    table: NDArray[Any] = np.reshape(marks, (-1, 2))
    times = table[table[:, 1] > LOUD, 0]
    if not len(times):
        return []
    breaks = np.flatnonzero(np.diff(times) > gap)
    starts, ends = times[[0, *(breaks + 1)]], times[[*breaks, -1]] + 2.5
    return [(float(start), float(end)) for start, end in zip(starts, ends, strict=True)][1:-1]
