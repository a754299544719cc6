"""A tone whose pitch and loudness follow their sliders at once, without a click."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from rtcstream import Label, Live, Range, Samples, Stream

RATE = 48_000
BLOCK = RATE // 50


def tone(
    hz: Annotated[Live[float], Range(50, 2000, 1), Label("Pitch, Hz")] = Live(440.0),
    volume: Annotated[Live[float], Range(0, 1, 0.01)] = Live(0.3),
) -> Iterator[Samples]:
    """A tone whose pitch and loudness follow their sliders at once."""
    phase = 0.0
    last_hz, last_volume = hz.value, volume.value
    while True:
        # From the last value to the new one in 20 ms: a jump would be heard as a click.
        steps = np.linspace(last_hz, last_hz := hz.value, BLOCK) * (2 * np.pi / RATE)
        phases = phase + np.cumsum(steps)
        phase = phases[-1] % (2 * np.pi)
        yield np.sin(phases) * np.linspace(last_volume, last_volume := volume.value, BLOCK)


stream = Stream(tone)

if __name__ == "__main__":
    stream.run()
