"""A picture that appears step by step out of noise, as a diffusion model would show it."""

import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from rtcstream import Progress, Range, RGBImage, Stream


def fake_diffusion(
    progress: Progress, steps: Annotated[int, Range(1, 50)] = 12
) -> Iterator[RGBImage]:
    """Noise for some steps, and then something orange."""
    rng = np.random.default_rng()
    for _ in progress.each(range(steps)):
        time.sleep(0.1)
        yield rng.random(size=(600, 600, 3))
    image = np.zeros((1000, 1000, 3), np.uint8)
    image[:] = [255, 124, 0]
    yield image


stream = Stream(fake_diffusion)

if __name__ == "__main__":
    stream.run()
