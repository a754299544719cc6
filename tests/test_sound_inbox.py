"""Sound on its way to a function that is too slow for it: bounded, and what is lost is counted."""

from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest

from rtcstream.annotations import Sound
from rtcstream.controls import Values
from rtcstream.samples import Blocks
from rtcstream.signature import read
from rtcstream.tracks import AudioFilter, SoundInbox
from rtcstream.transport.slot import Closed
from rtcstream.types import Samples

RATE = 48_000


def frame(number: int, milliseconds: int = 20) -> av.AudioFrame:
    length = RATE * milliseconds // 1000
    made = av.AudioFrame.from_ndarray(np.zeros((1, 2 * length), np.int16), "s16", "stereo")
    made.sample_rate, made.pts = RATE, number * length
    return made


@pytest.mark.parametrize(
    ("block", "milliseconds", "lost"),
    [(0.0, 20, 20), (0.0, 60, 60), (0.5, 20, 500), (0.5, 60, 540), (0.01, 20, 20)],
)
def test_whole_blocks_go_oldest_first(block: float, milliseconds: int, lost: int) -> None:
    """Beyond the limit a whole block is dropped, the oldest; its real length is counted."""
    inbox, number = SoundInbox(2.0, block), 0
    while not inbox.dropped:
        inbox.put(frame(number, milliseconds))
        number += 1
    assert inbox.dropped == lost // milliseconds
    assert inbox.lost == pytest.approx(lost / 1000)
    assert inbox.behind == pytest.approx((number * milliseconds - lost) / 1000)
    assert inbox.take().pts == inbox.dropped * RATE * milliseconds // 1000


def test_nothing_is_lost_below_the_limit() -> None:
    """What the limit has room for is taken in order, and nothing after the end."""
    inbox = SoundInbox(1.01)
    for number in range(50):
        inbox.put(frame(number))
    assert [(inbox.take().pts or 0) // 960 for _ in range(50)] == list(range(50))
    assert (inbox.dropped, inbox.lost) == (0, 0.0)
    inbox.close()
    with pytest.raises(Closed):
        inbox.take()


class FakeListener:
    """Notes what the page would be told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)


def test_the_page_is_told_what_was_really_dropped() -> None:
    """The warning counts what was lost, whatever the length of a packet, and blocks begun."""

    def f(samples: Samples) -> Samples:
        return samples

    listener, call = FakeListener(), SimpleNamespace(signature=read(f))
    worker = AudioFilter(cast(Any, call), Values([]), None, cast(Any, listener))
    for number in range(40):
        worker.inbox.put(frame(number, 60))
    worker._tell(given_up=0.25)
    assert listener.warnings == [
        "f() is slower than the microphone, 1980 ms behind; 670 ms of sound were dropped"
    ]


def test_blocks_that_were_begun_are_counted() -> None:
    """A block that was begun when what follows it was dropped is lost, and counted."""
    blocks = Blocks(Sound(seconds=0.1, rate=48_000))
    assert list(blocks.add(frame(0))) == list(blocks.add(frame(1))) == []
    assert list(blocks.add(frame(9), after_drop=True)) == []
    assert blocks.given_up == 2 * 960
