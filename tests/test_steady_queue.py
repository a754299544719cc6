"""A filter's sound on its way to the encoder: long blocks go as they last, and never late."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from rtcstream.transport.slot import Closed
from rtcstream.transport.sound import FRAME, SteadyQueue

BLOCK = np.zeros((5 * FRAME, 2), np.int16)


def never() -> float:
    """A clock that stands: what is taken by it went at once."""
    return 0.0


def test_a_block_goes_as_it_lasts() -> None:
    """The first frame goes at once, each other one 20 ms after the one before."""
    queue = SteadyQueue()
    queue.write(BLOCK, 0)
    times = []
    for number in range(5):
        assert queue.take().pts == number * FRAME
        times.append(time.monotonic())
    assert np.diff(times).min() > 0.015


@pytest.mark.parametrize("first", [5 * FRAME, 5 * FRAME - 1, FRAME, 1])
def test_what_waits_goes_when_more_comes(first: int) -> None:
    """Sound that comes early, or faster than it lasts, is not held up."""
    queue = SteadyQueue(never)
    queue.write(BLOCK[:first], 0)
    queue.write(BLOCK)
    for number in range(first // FRAME + 1):
        assert queue.take().pts == number * FRAME


@pytest.mark.parametrize("clock", [time.monotonic, never])
def test_frames_by_themselves(clock: Callable[[], float]) -> None:
    """Sound in frames of 20 ms goes as it comes."""
    queue = SteadyQueue(clock)
    started = time.monotonic()
    for number in range(100):
        queue.write(BLOCK[:FRAME], number * FRAME)
        assert queue.take().pts == number * FRAME
    assert time.monotonic() - started < 1.0, "two seconds of sound"


def test_close_ends_the_wait() -> None:
    """Who waits for the next frame of a block is told of the end."""
    queue = SteadyQueue(never)
    queue.write(BLOCK, 0)
    queue.take()
    queue.close()
    with pytest.raises(Closed):
        queue.take()
