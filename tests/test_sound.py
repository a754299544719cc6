"""Functions of sound on a real peer connection: every block, in order, at its place."""

import asyncio
import threading
import time
from itertools import pairwise
from typing import Annotated, Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rtcstream import (
    Block,
    Channels,
    Label,
    Range,
    Rate,
    Samples,
    Stream,
    testing,
)
from rtcstream.tracks import AudioFilter
from tests.sounds import RATE, frequency, lag, likeness, sweep, tone
from tests.waiting import until

FRAME = RATE // 50
DELAY = 2 * 312
"""Samples: what Opus looks ahead (RFC 6716 section 4.2), once for each of two encoders."""


async def speak(peer: testing.TestPeer, sound: NDArray[Any], pace: float = 0.004) -> None:
    """Send sound 20 ms at a time, faster than it lasts."""
    for begin in range(0, len(sound) - FRAME + 1, FRAME):
        peer.send_sound(sound[begin : begin + FRAME])
        await asyncio.sleep(pace)


async def logged(peer: testing.TestPeer, *words: str) -> str:
    """The next notice that has all these words in it."""
    while True:
        message = str((await peer.message("log"))["message"])
        if all(word in message for word in words):
            return message


def worker_of(peer: testing.TestPeer) -> AudioFilter:
    assert peer.session is not None
    [worker] = peer.session._wiring.workers
    assert isinstance(worker, AudioFilter)
    return worker


def loopback(samples: Samples) -> Samples:
    return samples


async def test_loopback_is_the_same_sound() -> None:
    """Twelve seconds come back whole: aligned, without a gap or a repeat, in continuous time."""
    sound = sweep(12.0)
    async with testing.connect(Stream(loopback)) as peer:
        speaking = asyncio.create_task(speak(peer, sound))
        while sum(len(part) for _, part in peer.sound) < len(sound):
            peer._arrived.clear()
            await asyncio.wait_for(peer._arrived.wait(), 10)
        await speaking
        parts = list(peer.sound)
    first = parts[0][0]
    assert [at - first for at, _ in parts] == [FRAME * number for number in range(600)]
    whole = np.concatenate([part for _, part in parts])[:, 0]
    assert len(whole) == len(sound)
    assert lag(sound, whole, 4000) == pytest.approx(DELAY, abs=2)
    assert likeness(sound, whole[lag(sound, whole, 4000) :]) > 0.99
    assert first == peer._sound_origin, "the source's own timestamps"


async def test_gain_by_a_control() -> None:
    """A function that halves the sound halves it, and another value holds from the next block."""

    def louder(samples: Samples, gain: Annotated[float, Range(0, 2)] = 0.5) -> Samples:
        return samples * np.float32(gain)

    async with testing.connect(Stream(louder)) as peer:
        await speak(peer, tone(440, 1.0))
        half = await peer.hear(1.0)
        await peer.set(gain=1.5)
        await speak(peer, tone(440, 1.0))
        more = await peer.hear(1.0)
    assert np.abs(half[:, RATE // 2 :]).max() == pytest.approx(0.25, rel=0.05)
    assert np.abs(more[:, RATE // 2 :]).max() == pytest.approx(0.75, rel=0.05)
    assert frequency(more[0, RATE // 4 :]) == pytest.approx(440, rel=0.001)


class LowPass:
    """A filter with a memory, so that a block that were lost or doubled would be heard."""

    def __init__(self) -> None:
        self.rest = np.zeros((2, 239), np.float32)
        at = np.arange(240) - 119.5
        self.taps = np.sinc(at * 2000 / RATE) * np.hamming(240)
        self.taps /= self.taps.sum()

    def __call__(self, samples: Samples) -> Samples:
        whole = np.concatenate([self.rest, samples], axis=1)
        self.rest = whole[:, -239:]
        return np.stack([np.convolve(side, self.taps, "valid") for side in whole])


async def test_a_filter_with_a_memory() -> None:
    """A class keeps its state across blocks: a low-pass takes the high tone and leaves the low."""
    async with testing.connect(Stream(LowPass)) as peer:
        await speak(peer, tone(500, 1.5) * 0.8 + tone(6000, 1.5) * 0.8)
        back = (await peer.hear(1.5))[0, RATE // 4 :]
    spectrum = np.abs(np.fft.rfft(back * np.hanning(len(back))))
    low, high = (spectrum[round(hz * len(back) / RATE)] for hz in (500, 6000))
    assert high < low / 100
    assert frequency(back) == pytest.approx(500, rel=0.001)


async def test_blocks_as_asked_for() -> None:
    """A second of mono at 16 kHz is exactly that, and what was spoken."""
    given: list[NDArray[Any]] = []

    def f(samples: Annotated[Samples, Block(seconds=1.0), Rate(16_000), Channels(1)]) -> int:
        given.append(samples)
        return len(samples[0])

    async with testing.connect(Stream(f)) as peer:
        assert peer.session is not None and Stream(f).describe()["outputs"] == ["data"]
        await speak(peer, sweep(2.1))
        first, second = await peer.message("result"), await peer.message("result")
        assert not peer.sound, "nothing goes back"
    assert [(block.shape, block.dtype.name) for block in given] == [((1, 16_000), "float32")] * 2
    assert (first["data"], first["run"], second["data"]) == (16_000, 0, 16_000)
    assert (second["pts"] - first["pts"]) % 2**32 == RATE
    assert first["pts"] == peer._sound_origin & 0xFFFFFFFF
    spoken, heard = sweep(2.0, 16_000), np.concatenate(given, axis=1)[0]
    late = lag(spoken, np.pad(heard, (0, 400)), 400)
    assert likeness(spoken, heard[late:], 800) > 0.99


@pytest.mark.parametrize("result", ["text", {"loud": [1, 2]}, 0.5, None])
async def test_results_of_sound(result: Any) -> None:
    """Text, dicts and numbers go to the page with their block's timestamp; no sound goes back."""

    def f(samples: Samples) -> Annotated[Any, Label("said")]:
        return {"none": None} if result is None else result

    async with testing.connect(Stream(f)) as peer:
        await speak(peer, tone(440, 0.1))
        message = await peer.message("result")
        assert (message["name"], message["data"]) == ("said", result or {"none": None})
        assert message["pts"] == peer._sound_origin & 0xFFFFFFFF
        assert not peer.sound


async def test_sound_with_a_result() -> None:
    """Sound goes back, and what stands beside it to the page; None is nothing new."""

    def f(samples: Samples) -> tuple[Samples | None, float]:
        loud = float(np.abs(samples).max())
        return (samples if loud > 0.1 else None), loud

    async with testing.connect(Stream(f)) as peer:
        await speak(peer, tone(440, 0.5))
        assert await peer.result() == pytest.approx(0.5, abs=0.5)
        assert np.abs(await peer.hear(0.3)).max() > 0.3
        assert not [m for m in peer.messages if m["type"] == "log"]


async def test_raw_frames() -> None:
    """An av.AudioFrame annotation gives the decoder's frames, and takes any."""
    seen = set()

    def f(frame: av.AudioFrame) -> av.AudioFrame:
        seen.add((frame.format.name, frame.samples, frame.sample_rate))
        sound = (tone(880, 0.02, 16_000) * 20_000).astype(np.int16)
        made = av.AudioFrame.from_ndarray(sound[None], "s16", "mono")
        made.sample_rate = 16_000
        return made

    async with testing.connect(Stream(f)) as peer:
        await speak(peer, tone(440, 1.0))
        back = await peer.hear(0.9)
    assert seen == {("s16", FRAME, RATE)}
    assert np.abs(back).max() == pytest.approx(10_000 / 32_768, rel=0.2)


async def test_an_async_function() -> None:
    """A coroutine is awaited for each block, one at a time."""

    async def f(samples: Samples) -> Samples:
        await asyncio.sleep(0)
        return -samples

    sound = sweep(0.6)
    async with testing.connect(Stream(f)) as peer:
        await speak(peer, sound)
        back = (await peer.hear(0.6))[0]
    assert likeness(-sound, back[DELAY:]) > 0.95


# What goes wrong


async def test_a_block_that_raises_is_lost() -> None:
    """An error costs its own block, which is silent, and is said; the next block goes on."""
    number = 0

    def f(samples: Samples) -> Samples:
        nonlocal number
        number += 1
        if number == 10:
            raise ValueError("no luck")
        return samples

    sound = tone(440, 1.0)
    async with testing.connect(Stream(f)) as peer:
        await speak(peer, sound)
        assert await logged(peer, "f() raised ValueError: no luck (test_sound.py, line ")
        back = (await peer.hear(1.0))[0]
    quiet = back[9 * FRAME + DELAY // 2 + 200 : 10 * FRAME + DELAY // 2 - 200]
    assert np.abs(quiet).max() < 0.1
    assert likeness(sound[12 * FRAME :], back[12 * FRAME + DELAY :]) > 0.97


@pytest.mark.parametrize(
    ("nonsense", "words"),
    [
        (None, "it returned None, but its signature promises samples; write `Samples | None`"),
        ("a sound", "samples must be a numpy array of shape (channels, n), not str"),
        (np.zeros((3, 5)), "with 1 or 2 channels, not (3, 5)"),
        (np.full(5, np.nan), "samples must be finite"),
        (np.zeros(5, np.int64), "not int64"),
        ((np.zeros(5), 1), "tuple"),
    ],
)
async def test_nonsense_is_named(nonsense: Any, words: str) -> None:
    """What is no sound is reported in words, and the next block is heard."""
    answers = [nonsense]

    def f(samples: Samples) -> Samples:
        return answers.pop(0) if answers else samples

    async with testing.connect(Stream(f)) as peer:
        await speak(peer, tone(440, 0.5))
        assert await logged(peer, words)
        assert np.abs(await peer.hear(0.4)).max() > 0.3


async def test_too_loud_is_said() -> None:
    """What is louder than full scale is clipped, and the page is told."""

    def f(samples: Samples) -> Samples:
        return samples * 4

    async with testing.connect(Stream(f)) as peer:
        await speak(peer, tone(440, 0.5))
        assert await logged(peer, "f() is louder than full scale (1.0); it is clipped")
        assert np.abs(await peer.hear(0.4)).max() <= 1.0


async def test_a_function_slower_than_the_microphone() -> None:
    """Nothing is lost until it is two seconds behind, then the oldest, counted; others go on."""
    release, entered = threading.Event(), threading.Event()
    blocks: list[NDArray[Any]] = []

    def f(samples: Samples) -> Samples:
        if np.abs(samples).max() > 0.45:  # the one that speaks so loud
            entered.set()
            release.wait(20)
            blocks.append(samples)
        return samples

    def sent(seconds: float) -> NDArray[Any]:
        return tone(50, seconds)  # each 20 ms alike, and as loud

    sessions = Stream(f).sessions()
    async with testing.connect(sessions) as other, testing.connect(sessions) as peer:
        await speak(peer, sent(0.1))
        await asyncio.to_thread(entered.wait, 5)
        await speak(peer, sent(1.8), 0.002)
        await until(lambda: worker_of(peer).inbox.behind > 1.8)
        assert worker_of(peer).dropped == 0
        quiet = 0.3 * tone(440, 0.5)
        await speak(other, quiet)
        assert likeness(quiet, (await other.hear(0.5))[0, DELAY:]) > 0.95
        await speak(peer, sent(1.0), 0.002)
        await until(lambda: worker_of(peer).dropped >= 40)
        release.set()
        warning = await logged(peer, "f() is slower than the microphone", "ms behind; ")
        assert "ms of sound were dropped" in warning
        dropped = worker_of(peer).dropped
        await until(lambda: len(blocks) + dropped >= 144)
        assert (await peer.message("stats"))["dropped"] >= dropped
    assert len(blocks) + dropped == 145, "all that were sent"
    assert {block.shape for block in blocks} == {(2, FRAME)}, "no silence in their place"
    assert min(np.abs(block).max() for block in blocks[1:]) > 0.3


async def test_a_long_block_may_take_its_time() -> None:
    """A function that needs most of a block's own length for it is not too slow."""

    def f(samples: Annotated[Samples, Block(seconds=1.0)]) -> int:
        time.sleep(0.6)
        return len(samples[0])

    async with testing.connect(Stream(f)) as peer:
        await speak(peer, tone(440, 3.1), 0.018)
        assert [await peer.result() for _ in range(3)] == [RATE] * 3
        assert worker_of(peer).dropped == 0
        assert not [m for m in peer.messages if "slower" in str(m.get("message"))]


@pytest.mark.parametrize("lost", [{20}, {20, 21, 22}, set(range(10, 50, 7))])
async def test_lost_packets_are_concealed(lost: set[int]) -> None:
    """In place of packets that the network loses there is sound of their exact length."""
    blocks: list[NDArray[Any]] = []

    def f(samples: Annotated[Samples, Channels(1)]) -> Samples:
        blocks.append(samples)
        return samples

    sound = sweep(1.6)
    async with testing.connect(Stream(f)) as peer:
        lose(peer, lost)
        await speak(peer, sound)
        back = (await peer.hear(1.5))[0]
        times = [at for at, _ in peer.sound]
    assert all(after - before == FRAME for before, after in pairwise(times))
    heard = np.concatenate(blocks, axis=1)[0]
    for number in range(60):
        place = slice(number * FRAME + 10, (number + 1) * FRAME - 10)
        assert np.abs(heard[place]).max() > 0.01, number
    for number in range(52, 70):
        place = slice(number * FRAME, (number + 1) * FRAME)
        late = slice(place.start + DELAY, place.stop + DELAY)
        assert likeness(sound[place], back[late], FRAME) > 0.95, "everything is at its place"


def lose(peer: testing.TestPeer, lost: set[int]) -> None:
    """Let the network lose the packets of sound of these numbers."""
    transport = peer._senders["audio"].transport
    send, count = transport._send_rtp, 0

    async def losing(data: bytes) -> None:
        nonlocal count
        count += 1
        if count - 1 not in lost:
            await send(data)

    transport._send_rtp = losing  # type: ignore[method-assign]


async def test_a_microphone_that_pauses() -> None:
    """After a pause of seconds the timestamps of what goes back have jumped as the source's."""
    async with testing.connect(Stream(loopback)) as peer:
        await speak(peer, tone(440, 0.5))
        await peer.hear(0.4)
        peer._sent_sound += 5 * RATE
        await speak(peer, tone(440, 0.5))
        await peer.hear(0.45)
        await until(lambda: peer.sound)
        at, part = peer.sound[-1]
    assert 5.5 * RATE < at + len(part) - peer._sound_origin <= 6 * RATE
