"""Runs of a generator: begun anew, closed, survived; whatever the user's code does."""

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from rtcstream import (
    AudioChunk,
    Image,
    Progress,
    Samples,
    Stream,
    testing,
)
from tests.leaks import no_leaks
from tests.pictures import plain, scene
from tests.sounds import RATE, encoded, tone
from tests.waiting import finished, runs_of, until


class Recorded:
    """Notes when its runs begin and end."""

    events: list[str]

    def __init__(self) -> None:
        self.events = []

    def __call__(self, name: str = "a", hz: float = 300.0) -> Iterator[tuple[Samples, str]]:
        self.events.append(f"+{name}")
        try:
            for begin in itertools.count(0, 960):
                at = np.arange(begin, begin + 960)
                yield 0.5 * np.sin(2 * np.pi * hz * at / RATE), name
        finally:
            time.sleep(0.05)
            self.events.append(f"-{name}")


async def test_a_change_restarts() -> None:
    """A change of a control closes the run, and then begins the next: nothing of the old one is
    heard from then on, and results carry their run's number."""
    recorded = Recorded()
    async with no_leaks(), testing.connect(Stream(recorded)) as peer:
        await peer.hear(0.5)
        await peer.set(name="b", hz=3000.0)
        await peer.message("result", run=2)
        await until(lambda: runs_of(peer).run == 2)
        peer.sound.clear()
        await peer.hear(0.2)  # what was on its way
        heard = (await peer.hear(0.5))[0]
        results = [m for m in peer.messages if m["type"] == "result"]
    await until(lambda: len(recorded.events) == 4)
    assert recorded.events == ["+a", "-a", "+b", "-b"]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum[round(300 * 0.5)] < spectrum[1500] / 1000
    assert {(m["run"], m["data"]) for m in results} <= {(1, "a"), (2, "b")}


async def test_typing_is_one_restart() -> None:
    """Changes in quick succession are one restart with the newest values."""
    recorded = Recorded()
    async with testing.connect(Stream(recorded)) as peer:
        await peer.message("result")
        for end in range(1, 6):
            await peer.set(name="hello"[:end])
        await peer.message("result", data="hello")
    await until(lambda: len(recorded.events) == 4)
    assert recorded.events == ["+a", "-a", "+hello", "-hello"]


async def test_run_again() -> None:
    """The page can ask for another run, of what has ended and of what goes on."""
    runs = 0

    def f(to: int = 2) -> Iterator[int]:
        nonlocal runs
        runs += 1
        yield from range(to)

    async with testing.connect(Stream(f)) as peer:
        for run in (1, 2, 3):
            assert [(await peer.message("result", run=run))["data"] for _ in range(2)] == [0, 1]
            await finished(peer)
            peer.send_text('{"type": "run"}')
        await peer.message("result", run=4)
    assert runs == 4


async def test_many_restarts_at_once() -> None:
    """However restarts fall, the last one runs to its end."""

    def f(to: int = 1) -> Iterator[int]:
        yield to

    async with testing.connect(Stream(f)) as peer:
        await finished(peer)
        for number in range(60):
            peer.send_text('{"type": "run"}')
            if number % 7 == 0:
                await asyncio.sleep(0)
        await peer.set(to=5)
        await peer.message("result", data=5)
        await finished(peer)


async def test_a_restart_with_a_slow_pace() -> None:
    """A restart does not wait for the next picture's turn."""

    def f(grey: int = 0) -> Iterator[Image]:
        while True:
            yield plain((grey,) * 3, 64, 48)

    async with testing.connect(Stream(f, max_fps=0.1)) as peer:
        await until(lambda: peer.pictures)
        await peer.set(grey=200)
        await until(lambda: peer.pictures[-1][1].mean() > 150)


async def test_progress() -> None:
    """A generator tells how far it is, by numbers or by what it goes through."""

    def f(progress: Progress) -> Iterator[str]:
        progress(0.25, "a quarter")
        yield from progress.each(["a", "b"])
        with pytest.raises(ValueError):
            progress(2.0)

    async with testing.connect(Stream(f)) as peer:
        await finished(peer)
        told = [(m["value"], m["text"]) for m in peer.messages if m["type"] == "progress"]
    assert told == [(0.25, "a quarter"), (0.0, "0 of 2"), (0.5, "1 of 2"), (1.0, "2 of 2")]


# What goes wrong


def raises_at_once() -> Iterator[Samples]:
    if True:
        raise ValueError("no luck")
    yield


def raises_in_the_middle() -> Iterator[int]:
    yield 1
    raise ValueError("no luck")


async def raises_async() -> AsyncIterator[Image]:
    yield scene(64, 48)
    raise ValueError("no luck")


@pytest.mark.parametrize("target", [raises_at_once, raises_in_the_middle, raises_async])
async def test_generators_that_raise(target: Any) -> None:
    """What a generator raises is said with its line; the session stays, and can run it again."""
    async with no_leaks(), testing.connect(Stream(target)) as peer:
        message = (await peer.message("log"))["message"]
        assert message.startswith(
            f"{target.__name__}() raised ValueError: no luck (test_runs.py, line "
        )
        await finished(peer)
        peer.send_text('{"type": "run"}')
        await finished(peer)
        await until(lambda: runs_of(peer).run == 2)


@pytest.mark.parametrize(
    ("hint", "nonsense", "good", "words"),
    [
        (Iterator[Image], "text", scene(64, 48), "an image must be a numpy array"),
        (Iterator[Image], None, scene(64, 48), "write `Image | None`"),
        (Iterator[Samples], np.full(9, np.nan), tone(440, 0.1), "samples must be finite"),
        (Iterator[tuple[int, Samples]], tone(440, 0.1), (RATE, tone(440, 0.1)), "(rate, samples)"),
        (Iterator[tuple[int, Samples]], ("a", tone(440, 0.1)), (RATE, tone(440, 0.1)), "'a'"),
        (Iterator[tuple[int, Samples]], (5, tone(440, 0.1)), (RATE, tone(440, 0.1)), "1000 to"),
        (Iterator[tuple[Image, Samples]], scene(64, 48), (scene(64, 48), tone(440, 0.1)), "tuple"),
        (Iterator[AudioChunk], 5, encoded("wav", 0.1), "a chunk must be bytes or a path, not int"),
        (Iterator[AudioChunk], b"", encoded("wav", 0.1), "chunk 1 is empty"),
        (Iterator[int], float("nan"), 1, "the result is nan"),
    ],
)
async def test_nonsense_is_named(hint: Any, nonsense: Any, good: Any, words: str) -> None:
    """What is not what was promised is said, and the next yield is taken."""
    ended = threading.Event()

    def f():  # type: ignore[no-untyped-def]
        yield nonsense
        yield good
        ended.set()

    f.__annotations__["return"] = hint
    async with testing.connect(Stream(f)) as peer:
        message = await peer.message("log")
        assert message["level"] == "error" and words in message["message"]
        await finished(peer)
    assert ended.is_set()


async def test_one_that_never_yields() -> None:
    """A generator that is stuck harms nobody, and the page is told; its session ends in time, its
    thread is abandoned."""
    release = threading.Event()

    def f() -> Iterator[int]:
        release.wait(30)
        yield 1

    def g() -> Iterator[int]:
        yield 2

    stuck = Stream(f, hang_timeout=0.5)
    async with testing.connect(stuck) as peer, testing.connect(Stream(g)) as other:
        await peer.message("state", value="running")
        assert await other.result() == 2
        log = await peer.message("log")
        assert log["message"] == "f() has yielded nothing for 0.5 seconds"
        await peer.set()
        assert peer.session is not None
        started = time.monotonic()
        await peer.session.end("enough")
        assert time.monotonic() - started < 3
    release.set()


async def test_one_that_does_not_end() -> None:
    """A generator that blocks where it is closed holds up the next run; the page is told, and the
    run begins once it lets go."""
    release = threading.Event()

    def f(name: str = "a") -> Iterator[str]:
        try:
            while True:
                yield name
        finally:
            release.wait(30)

    async with testing.connect(Stream(f, hang_timeout=0.5)) as peer:
        assert await peer.result() == "a"
        await peer.set(name="b")
        log = await peer.message("log")
        assert "f() has not ended 0.5 seconds after it was told to" in log["message"]
        release.set()
        await peer.message("result", data="b")


async def test_one_that_never_yields_and_is_async() -> None:
    """An async generator that waits is cancelled when the session ends, its `finally` run."""
    ended = asyncio.Event()

    async def f() -> AsyncIterator[int]:
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            await asyncio.sleep(0.01)
            ended.set()

    async with no_leaks(), testing.connect(Stream(f)) as peer:
        await peer.message("state", value="running")
    await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("item", [Samples, AudioChunk], ids=["samples", "chunks"])
async def test_a_superseded_await_is_cancelled(item: Any) -> None:
    """An async generator that waits when its run is superseded is cancelled there, its `finally`
    run, before the next run begins; nobody is told of an error."""
    events: list[str] = []

    async def f(name: str = "a"):  # type: ignore[no-untyped-def]
        yield tone(440, 0.1) if item is Samples else encoded("wav", 0.1)
        try:
            events.append(f"+{name}")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            events.append(f"cancelled {name}")
            raise
        finally:
            await asyncio.sleep(0.01)
            events.append(f"-{name}")

    f.__annotations__["return"] = AsyncIterator[item]
    async with no_leaks(), testing.connect(Stream(f)) as peer:
        await until(lambda: "+a" in events)
        await peer.set(name="b")
        await until(lambda: "+b" in events)
        await peer.set(name="c")
        await until(lambda: "+c" in events)
        assert [m for m in peer.messages if m["type"] == "log"] == []
    assert events[:7] == ["+a", "cancelled a", "-a", "+b", "cancelled b", "-b", "+c"]


async def test_a_cancellation_of_its_own_is_an_error() -> None:
    """What an async generator cancels itself is said like any other error."""

    async def f() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    async with testing.connect(Stream(f)) as peer:
        assert "raised CancelledError" in (await peer.message("log"))["message"]
        await finished(peer)


async def test_the_time_that_a_generator_takes() -> None:
    """The page is told how long the next yield takes to come, without the waiting for playout."""

    def f() -> Iterator[Samples]:
        while True:
            time.sleep(0.02)
            yield tone(440, 0.5)

    async with testing.connect(Stream(f)) as peer:
        while (stats := await peer.message("stats"))["function_ms"] is None:
            pass
        assert 20 <= stats["function_ms"] < 300


@pytest.mark.parametrize("how", ["wait", "raise", "yield"])
async def test_trouble_in_close(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """A generator that blocks, raises or yields as it is closed does not hold the session up."""
    release = threading.Event()

    def f() -> Iterator[Samples]:
        try:
            while True:
                yield tone(440, 0.1)
        finally:
            if how == "raise":
                raise ValueError("not like this")
            if how == "yield":
                yield tone(440, 0.1)
            release.wait(30)

    async with testing.connect(Stream(f)) as peer:
        await peer.hear(0.1)
        assert peer.session is not None
        started = time.monotonic()
        await peer.session.end("enough")
        assert time.monotonic() - started < 3
    if how != "wait":
        words = {"raise": "not like this", "yield": "ignored GeneratorExit"}[how]
        await until(lambda: words in caplog.text)
    release.set()


@pytest.mark.parametrize("hint", [Samples, Image, AudioChunk, int])
async def test_the_end_closes_the_generator(hint: Any) -> None:
    """When the session ends, an endless generator's `finally` runs promptly, and nothing stays."""
    closed = threading.Event()
    item = {Samples: tone(440, 0.1), Image: scene(64, 48), AudioChunk: encoded("wav", 1.0), int: 1}

    def f():  # type: ignore[no-untyped-def]
        try:
            while True:
                yield item[hint]
        finally:
            closed.set()

    f.__annotations__["return"] = Iterator[hint]
    async with no_leaks():
        async with testing.connect(Stream(f)) as peer:
            await peer.message("state", value="running")
            await until(lambda: peer.sound or peer.pictures or hint is int)
        assert await asyncio.to_thread(closed.wait, 2)


async def test_rubbish_without_end_costs_little() -> None:
    """An endless generator of chunks that cannot be played is slowed down, and said."""
    pulled = 0

    def f() -> Iterator[AudioChunk]:
        nonlocal pulled
        while True:
            pulled += 1
            yield b"This is no sound at all. " * 40_000

    async with testing.connect(Stream(f)) as peer:
        assert "cannot be decoded" in (await peer.message("log"))["message"]
        before = pulled
        await asyncio.sleep(0.5)
        assert pulled - before < 4000
