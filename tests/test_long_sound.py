"""Sound for a minute: no drift, no gap and no seam, at a peer and in Chromium."""

import asyncio
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Page, expect

from rtcstream import Image, Samples, Stream, testing
from tests import waiting
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import until, visit
from tests.hearing import Mono, find, listen, read, speak
from tests.pictures import scene
from tests.sounds import RATE, lag, likeness, phases, sweep

FRAME = RATE // 50
MINUTE = 60 * RATE


def loopback(samples: Samples) -> Samples:
    return samples


def tone() -> Iterator[Samples]:
    """440 Hz, 1000 samples at a time: not a whole number of periods, nor of frames."""
    for begin in range(0, 70 * RATE, 1000):
        yield 0.5 * np.sin(2 * np.pi * 440 / RATE * np.arange(begin, begin + 1000))


async def test_a_minute_comes_back_exactly() -> None:
    """A peer gets back each sample of a minute: no gap, no repeat, and no drift."""
    sound = sweep(60.0)
    heard: list[NDArray[np.int16]] = []
    times: list[int] = []
    async with testing.connect(Stream(loopback)) as peer:
        for number, begin in enumerate(range(0, MINUTE, FRAME)):
            peer.send_sound(sound[begin : begin + FRAME])
            while len(times) < number - 40 or (begin + FRAME == MINUTE and len(times) < 3000):
                peer._arrived.clear()  # as fast as it comes back, at most 0.8 s ahead
                if not peer.sound:
                    await asyncio.wait_for(peer._arrived.wait(), 10)
                while peer.sound:
                    at, part = peer.sound.popleft()
                    times.append(at)
                    heard.append(part[:, 0])
    assert {after - before for before, after in pairwise(times)} == {FRAME}
    whole = np.concatenate(heard)
    late = lag(sound, whole, 4000)
    assert len(whole) == MINUTE
    assert lag(sound[-3 * RATE :], whole[-3 * RATE :], 4000) == late
    assert likeness(sound, whole[late:]) > 0.99


class Endless:
    """Pictures and sound without an end, which count themselves."""

    def __init__(self) -> None:
        self.pulled = 0

    def __call__(self) -> Iterator[tuple[Image, Samples]]:
        while True:
            self.pulled += 1
            yield scene(320, 240, self.pulled % 10), np.zeros(FRAME, np.float32)


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_peer_that_stops_reading() -> None:
    """An endless generator is pulled as it is played, and nothing piles up, when nobody reads."""
    endless = Endless()
    async with testing.connect(Stream(endless)) as peer:
        await waiting.until(lambda: len(peer.sound) > 20)
        for transceiver in peer._connection.getTransceivers():
            vars(transceiver.receiver)["_handle_rtp_packet"] = deaf
        started, pulled, memory = time.monotonic(), endless.pulled, resident()
        await asyncio.sleep(3.0)
        ahead = (endless.pulled - pulled) * FRAME / RATE - (time.monotonic() - started)
        grown = resident() - memory
    assert ahead < 1.0
    assert grown < 20e6, "all pictures of three seconds are 35 MB"


async def deaf(*packet: object) -> None:
    """Take no notice."""


# In real time, all at once


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who counts for more than a minute: no word twice."""
    text = ", ".join(str(number) for number in range(1, 90))
    return speak(tmp_path_factory.mktemp("sound") / "counting.wav", text)


async def press_start(page: Page, selector: str) -> None:
    await until(page, "document.querySelector('#size').options.length > 0")
    if await page.locator("#processing").is_visible():
        await page.locator("#processing").uncheck()
    await page.click("#start")
    await expect(page.locator("#status")).to_have_text("Connected")
    await until(page, f"document.querySelector('{selector}').srcObject?.getAudioTracks().length")


async def heard_by_a_peer(seconds: int) -> Mono:
    async with testing.connect(Stream(tone), timeout=seconds + 20) as peer:
        return np.asarray((await peer.hear(seconds))[0], np.float32)


async def pause(page: Page, endless: Endless, seconds: float) -> tuple[float, int]:
    """By how many seconds a generator gets ahead of a page that is paused, and by how many bytes
    memory grows."""
    await page.evaluate("document.querySelector('#output').pause()")
    started, pulled, memory = time.monotonic(), endless.pulled, resident()
    await asyncio.sleep(seconds)
    ahead = (endless.pulled - pulled) * FRAME / RATE - (time.monotonic() - started)
    return ahead, resident() - memory


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_minute_in_chromium(pages: Pages, serve: Serve, counting: Path) -> None:
    """Speech stays itself and does not drift; 440 Hz are one wave at a peer, and in Chromium
    wherever it played what came as it came; who pauses costs neither memory nor pulls."""
    endless = Endless()
    async with (
        serve(Stream(loopback)) as echo,
        serve(Stream(tone)) as generator,
        serve(Stream(endless)) as film,
    ):
        talking = await visit(pages, echo, setup={"microphone": counting})
        ringing, idle = await visit(pages, generator), await visit(pages, film)
        await press_start(talking, "#sound")
        await press_start(ringing, "#sound")
        await press_start(idle, "#output")
        async with asyncio.timeout(120):
            (spoken, clean), (rung, pure), whole, (ahead, memory) = await asyncio.gather(
                listen(talking, 60.0),
                listen(ringing, 60.0),
                heard_by_a_peer(60),
                pause(idle, endless, 10.0),
            )
        for page in (talking, ringing, idle):  # or they would look for their servers
            await page.click("#start")
            await expect(page.locator("#status")).to_have_text("Ready")
    check_speech(spoken, clean, read(counting))
    check_tone(rung, pure)
    [loud] = np.nonzero(np.abs(whole) > 0.02)
    wave = whole[loud[0] + 2 * FRAME :]
    deviation, off = phases(wave, 440)
    print(f"at the peer: {np.abs(deviation).max():.3f} rad, {off:.1e} Hz")
    assert len(wave) > MINUTE - RATE
    assert np.abs(deviation).max() < 0.05 and abs(off) < 0.01
    print(f"paused: {ahead:.2f} s ahead, {memory / 1e6:.1f} MB more")
    assert ahead < 1.2
    assert memory < 40e6


def check_speech(heard: Mono, stretches: list[tuple[int, int]], source: Mono) -> None:
    """What was heard is like what was said, and in each stretch in step with it throughout."""
    size = RATE // 2
    origin = find(heard[: 4 * size], source)[0]
    likenesses, steps, seconds = [], [], 0.0
    for begin, end in stretches:
        places = []
        for at in range(begin, end - size + 1, size):
            piece = heard[at : at + size]
            if np.abs(piece).max() < 0.1:
                continue
            nearby = max(0, origin + at - 3 * RATE)
            place, score = find(piece, source[nearby : nearby + 6 * RATE])
            likenesses.append(score)
            places.append(nearby + place - at)
        steps += [1000 * (place - places[0]) / RATE for place in places]
        seconds += (end - begin) / RATE
    print(
        f"speech: {seconds:.0f} s, likeness {np.median(likenesses):.3f}, {np.ptp(steps):.1f} ms off"
    )
    assert seconds > 20
    assert np.median(likenesses) > 0.95
    assert np.mean(np.array(likenesses) > 0.9) > 0.9
    assert np.mean(np.abs(steps) < 2) > 0.9


def check_tone(heard: Mono, stretches: list[tuple[int, int]]) -> None:
    """One line of phase, and exactly 440 Hz, in nearly all of the stretches."""
    good = whole = 0.0
    for begin, end in stretches:
        deviation, off = phases(heard[begin:end], 440)
        print(
            f"tone: {(end - begin) / RATE:.1f} s, {np.abs(deviation).max():.3f} rad, {off:.1e} Hz"
        )
        whole += end - begin
        good += (end - begin) * float(np.abs(deviation).max() < 0.1 and abs(off) < 0.44)
    assert whole > 20 * RATE
    assert good > 0.8 * whole
