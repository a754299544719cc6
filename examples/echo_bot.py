"""Says back what you said, a little lower, when you have finished; speak again to interrupt it."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from rtcstream import Range, Samples, Stream, Utterance


def echo_bot(
    speech: Utterance, depth: Annotated[float, Range(0.5, 1.5, 0.05)] = 0.85
) -> Iterator[tuple[tuple[int, Samples], str]]:
    """Says back what you said when you have finished; speak again to interrupt it."""
    voice = speech.samples[0]
    said = f"You spoke for {speech.seconds:.1f} seconds."
    for part in np.array_split(voice, max(len(voice) // 1600, 1)):
        # Played slower, it is lower: the simplest of all effects.
        yield (round(speech.rate * depth), part), said


stream = Stream(echo_bot)

if __name__ == "__main__":
    stream.run()
