"""How loud your microphone is, twenty times a second: sound in, a number out."""

import math
from typing import Annotated

import numpy as np

from rtcstream import Block, Channels, Label, Samples, Stream


def audio_meter(
    samples: Annotated[Samples, Block(seconds=0.05), Channels(1)],
) -> Annotated[float, Label("Level, dB")]:
    """How loud your microphone is, twenty times a second."""
    power = float(np.mean(samples**2))
    return 10 * math.log10(max(power, 1e-9))


stream = Stream(audio_meter, title="Audio meter")

if __name__ == "__main__":
    stream.run()
