"""Generators on a real peer connection: at their own pace, one run at a time, closed at the end."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtcstream import (
    AudioChunk,
    Box,
    Image,
    Live,
    RGBImage,
    Samples,
    Stream,
    testing,
)
from rtcstream.transport.clock import NTP_UNIX_OFFSET
from tests.leaks import no_leaks
from tests.pictures import difference, plain, scene
from tests.sounds import RATE, encoded, frequency, lag, likeness, phases, sweep, tone
from tests.waiting import finished, named, runs_of, until

FRAME = RATE // 50


def sounding(sound: NDArray[Any]) -> NDArray[Any]:
    """The part that is not the silence before and after."""
    [loud] = np.nonzero(np.abs(sound) > 0.02)
    return sound[loud[0] : loud[-1] + 1]


# Results


async def test_counting() -> None:
    """A generator of numbers: each is a result of run 1, in order; then it is finished."""

    def count(to: int = 5) -> Iterator[int]:
        yield from range(to)

    stream = Stream(count)
    assert (stream.describe()["inputs"], stream.describe()["outputs"]) == ([], ["data"])
    async with no_leaks(), testing.connect(stream) as peer:
        await peer.message("state", value="running")
        results = [await peer.message("result") for _ in range(5)]
        await finished(peer)
    assert [(r["data"], r["run"], r["pts"]) for r in results] == [(n, 1, None) for n in range(5)]


class Words:
    """A class whose call yields."""

    def __init__(self) -> None:
        self.said = "a"

    def __call__(self) -> Iterator[str]:
        for _ in range(3):
            yield self.said
            self.said += "a"


async def words() -> AsyncIterator[str]:
    for number in range(1, 4):
        await asyncio.sleep(0)
        yield "a" * number


class Iterable:
    """Not a generator, but it can be gone through."""

    def __init__(self) -> None:
        self.rest = ["aaa", "aa", "a"]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self.rest:
            raise StopIteration
        return self.rest.pop()


def returned() -> Iterator[str]:
    return Iterable()


async def awaited() -> Iterator[str]:
    return iter(["a", "aa", "aaa"])


@pytest.mark.parametrize("target", [Words, Words(), words, returned, awaited], ids=named)
async def test_text_that_grows(target: Any) -> None:
    """Plain and async generators, classes, instances and other iterators yield alike."""
    async with testing.connect(Stream(target)) as peer:
        assert [await peer.result() for _ in range(3)] == ["a", "aa", "aaa"]
        await finished(peer)


async def test_results_without_a_pace_do_not_flood() -> None:
    """An endless generator of results is slowed, and its session answers all the while."""
    yields = 0

    def endless() -> Iterator[int]:
        nonlocal yields
        while True:
            yields += 1
            yield yields

    async with testing.connect(Stream(endless)) as peer:
        before = time.process_time()
        await asyncio.sleep(1.0)
        assert yields < 600
        assert time.process_time() - before < 0.6
        await peer.set()


# Pictures


async def test_pictures_at_their_own_pace() -> None:
    """Pictures come as they are yielded, spaced by `max_fps` when there are too many."""

    def shades(fast: bool = False) -> Iterator[Image]:
        for grey in range(0, 250, 25):
            if not fast:
                time.sleep(0.05)
            yield plain((grey,) * 3, 64, 48)

    for fast in (False, True):
        async with testing.connect(Stream(shades, max_fps=20), controls={"fast": fast}) as peer:
            await finished(peer)
            await until(lambda: peer.pictures and peer.pictures[-1][1].mean() > 215)
            greys = [round(picture.mean() / 25) for _, picture in peer.pictures]
            times = [at for at, _ in peer.pictures]
        assert len(greys) > 4 and greys == sorted(set(greys))
        for (a, at), (b, then) in itertools.pairwise(zip(greys, times, strict=True)):
            assert (then - at) % 2**32 > (b - a) / 20 * 90_000 - 3600, "two at once may catch up"


async def test_forms_and_sizes_that_change() -> None:
    """Float, grey, RGBA and uint8 of changing sizes are all pictures; the last one stays."""
    orange = (0, 124, 255)

    def diffusion(steps: int = 3) -> Iterator[RGBImage]:
        rng = np.random.default_rng(1)
        for _ in range(steps):
            yield cv2.resize(rng.random((6, 6, 3)), (600, 600))
        yield rng.random((60, 80)).round()
        yield np.full((40, 60, 4), 200, np.uint8)
        image = np.ones((1000, 1000, 3), np.uint8)
        image[:] = [255, 124, 0]
        yield image

    async with testing.connect(Stream(diffusion)) as peer:
        await finished(peer)
        await until(lambda: peer.pictures and peer.pictures[-1][1].shape == (1000, 1000, 3))
        assert difference(peer.pictures[-1][1], plain(orange, 1000, 1000)) < 8
        shapes = [picture.shape for _, picture in peer.pictures]
    assert shapes == [(600, 600, 3)] * 3 + [(60, 80, 3), (40, 60, 3), (1000, 1000, 3)]


async def test_the_last_picture_again() -> None:
    """A viewer that lost the picture is sent the last one again, though nothing new is yielded."""

    def one() -> Iterator[Image]:
        yield scene(320, 240)

    async with testing.connect(Stream(one)) as peer:
        await finished(peer)
        await until(lambda: peer.pictures)
        assert peer.session is not None
        [sender] = peer.session._wiring.senders
        [transceiver] = peer._connection.getTransceivers()
        await transceiver.receiver._send_rtcp_pli(sender._ssrc)
        await until(lambda: len(peer.pictures) >= 2)
        (first, _), (second, picture), *_ = peer.pictures
    assert second == (first + 1) % 2**32
    assert difference(picture, scene(320, 240)) < 8


# Sound


def beep(hz: Live[float] = Live(440.0), volume: float = 0.5) -> Iterator[Samples]:
    phase = 0.0
    while True:
        turns = phase + np.arange(1, 1001) * hz.value / RATE
        phase = turns[-1] % 1
        yield volume * np.sin(2 * np.pi * turns)


async def test_a_tone_without_a_seam() -> None:
    """Ten seconds of 440 Hz: one line of phase from end to end, and continuous timestamps."""
    async with testing.connect(Stream(beep), timeout=15) as peer:
        await until(lambda: len(peer.sound) > 20)
        started = time.monotonic()
        times: list[int] = []
        heard: list[NDArray[Any]] = []
        while len(times) < 500:
            await until(lambda: peer.sound)
            at, part = peer.sound.popleft()
            times.append(at)
            heard.append(part[:, 0])
        assert 8 < time.monotonic() - started < 12, "as it would be played"
    assert {after - before for before, after in itertools.pairwise(times)} == {FRAME}
    whole = sounding(np.concatenate(heard) / 32_768)[2 * FRAME :]
    deviation, off = phases(whole, 440)
    assert abs(off) < 0.1 and np.abs(deviation).max() < 0.05


async def test_a_live_control_does_not_click() -> None:
    """Moving a `Live` control changes the tone where it is: no restart, no jump of the wave."""
    async with testing.connect(Stream(beep)) as peer:
        await peer.hear(0.5)
        for hz in (500.0, 560.0, 620.0, 700.0):
            assert await peer.set(hz=hz) == {"hz": hz, "volume": 0.5}
            await peer.hear(0.1)
        heard = (await peer.hear(1.5))[0]
        assert runs_of(peer).run == 1
    steepest = 0.5 * 2 * np.pi * 700 / RATE
    assert np.abs(np.diff(heard)).max() < 1.6 * steepest
    assert frequency(heard[-RATE // 4 :]) == pytest.approx(700, rel=0.001)


@pytest.mark.parametrize(
    ("rate", "form"), [(22_050, np.int16), (16_000, np.float32), (44_100, np.uint8)]
)
async def test_any_rate_and_type(rate: int, form: type) -> None:
    """`tuple[int, Samples]` plays at its own rate, whatever its numbers and lengths."""
    scale = {"int16": 32_767.0, "float32": 1.0, "uint8": 127.0}[np.dtype(form).name]

    def f() -> Iterator[tuple[int, Samples]]:
        whole = tone(440, 1.5, rate) * scale + (128 if form is np.uint8 else 0)
        lengths, begin = itertools.cycle([1, 3000, 777, 5, 1500]), 0
        while begin < len(whole):
            length = next(lengths)
            yield rate, whole[begin : begin + length].astype(form)
            begin += length

    async with testing.connect(Stream(f)) as peer:
        heard = sounding((await peer.hear(2.0))[0])
    assert len(heard) == pytest.approx(1.5 * RATE, abs=1500)
    deviation, off = phases(heard[FRAME : RATE * 5 // 4], 440)
    assert abs(off) < 0.2 and np.abs(deviation).max() < 0.1
    assert np.abs(heard[FRAME:-FRAME]).max() == pytest.approx(0.5, abs=0.05)


async def test_encoded_chunks_with_text() -> None:
    """Pieces of an mp3 play as one signal; the text beside each is a result."""
    data = encoded("mp3")

    def f() -> Iterator[tuple[AudioChunk, str]]:
        for number in range(0, len(data), 1000):
            yield data[number : number + 1000], f"at {number}"

    async with no_leaks(), testing.connect(Stream(f)) as peer:
        assert [await peer.result() for _ in range(3)] == ["at 0", "at 1000", "at 2000"]
        heard = (await peer.hear(2.4))[0]
    late = lag(sweep(2.0), heard, RATE // 3)
    assert likeness(sweep(1.9), heard[late:]) > 0.97


@pytest.mark.parametrize("encoded_too", [False, True])
async def test_results_are_told_with_their_sound(encoded_too: bool) -> None:
    """What comes beside sound is told when that plays, though it is pulled ahead."""
    pulled: list[int] = []

    def f():  # type: ignore[no-untyped-def]
        for number in range(8):
            pulled.append(number)
            yield (encoded("wav", 0.2) if encoded_too else tone(440, 0.2)), number

    hint: Any = tuple[AudioChunk, int] if encoded_too else tuple[Samples, int]
    f.__annotations__["return"] = Iterator[hint]
    async with testing.connect(Stream(f)) as peer:
        assert await peer.result() == 0
        await until(lambda: len(pulled) > 3)
        ahead = []
        for number in range(1, 8):
            ahead.append(pulled[-1] - number)
            assert await peer.result() == number
        await finished(peer)
    assert max(ahead) >= 2


async def test_a_flash_and_a_click_together() -> None:
    """Pictures and sound that are yielded together carry the same time, by the senders' reports."""

    def f() -> Iterator[tuple[Image, Samples]]:
        for number in range(50):
            on = number % 20 == 15
            sound = np.zeros(2400, np.float32)
            sound[:240] = 0.9 * on * np.sin(np.arange(240))
            yield plain((255 if on else 0,) * 3, 64, 48), sound

    async with testing.connect(Stream(f)) as peer:
        await finished(peer)
        await until(lambda: len(peer.pictures) >= 48)
        assert peer.session is not None
        clocks = {sender.kind: sender.clock for sender in peer.session._wiring.senders}
        flashes, clicks = [], []
        dark = True
        for at, picture in peer.pictures:
            if dark and picture.mean() > 128:
                flashes.append(wall(clocks["video"], at))
            dark = picture.mean() < 128
        quiet = 0
        for at, part in peer.sound:
            for place in np.nonzero(np.abs(part[:, 0]) > 8000)[0]:
                if at + place - quiet > RATE // 5:
                    clicks.append(wall(clocks["audio"], at + int(place)))
                quiet = at + int(place)
    assert len(flashes) == len(clicks) == 2
    # On the wire timestamps have 32 bits: on a machine that has been on for hours they have come
    # around, which the clock's own do not.
    around = 2**32 / 90_000
    late = [(flash - click) % around for flash, click in zip(flashes, clicks, strict=True)]
    assert all(min(each, around - each) < 0.04 for each in late)


def wall(clock: Any, pts: int) -> float:
    """The time of a timestamp as a sender report would give it: of those that are the same 32 bits
    on the wire, the one nearest to now. They count from when the machine was started."""
    period = 2**32 / clock.rate
    now, then = time.time() + NTP_UNIX_OFFSET, clock.ntp(pts) / 2**32
    return float(then + period * round((now - then) / period))


# Bounds


async def test_the_lookahead_is_bounded() -> None:
    """An endless generator is pulled about a second ahead of what is played, at no cost."""
    pulled, spent = 0, 0.0

    def f() -> Iterator[Samples]:
        nonlocal pulled, spent
        while True:
            pulled += 1
            spent = time.thread_time()
            yield np.zeros(960, np.float32)

    async with testing.connect(Stream(f)) as peer:
        await until(lambda: len(peer.sound) > 10)
        started, before, cost = time.monotonic(), pulled, spent
        await asyncio.sleep(2.0)
        played = (time.monotonic() - started) * 50
        assert pulled - before < played + 25
        assert pulled < len(peer.sound) + 60
        assert spent - cost < 0.5


async def test_pictures_are_not_pulled_ahead() -> None:
    """An endless generator of pictures is pulled at `max_fps`, whatever its own speed."""
    pulled = 0

    def f() -> Iterator[Image]:
        nonlocal pulled
        while True:
            pulled += 1
            yield plain((pulled % 256,) * 3, 64, 48)

    async with testing.connect(Stream(f, max_fps=10)) as peer:
        await until(lambda: peer.pictures)
        before = pulled
        await asyncio.sleep(1.0)
        assert 4 <= pulled - before <= 14


async def test_empty_yields_do_not_spin() -> None:
    """A generator that yields sound of no length has no pace, so it is given one."""
    yields = 0

    def f() -> Iterator[Samples]:
        nonlocal yields
        while True:
            yields += 1
            yield np.zeros((2, 0), np.float32)

    async with testing.connect(Stream(f)):
        await asyncio.sleep(0.5)
        assert yields < 400


async def test_boxes_are_measured_in_the_picture_they_came_with() -> None:
    """A generator's boxes carry the size of its picture, which may be sent smaller."""

    def found() -> Iterator[tuple[Image, Box]]:
        yield scene(320, 240), Box(1, 2, 3, 4)

    async with testing.connect(Stream(found)) as peer:
        assert (await peer.result())["frame"] == [320, 240]
