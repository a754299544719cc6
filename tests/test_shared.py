"""One run of a function for all who watch."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest

from rtcstream import Image, Live, Recording, Samples, Session, Stream, testing
from rtcstream.signaling import Problem
from rtcstream.tracks import AudioFilter
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.sender import AT_ONCE, CALM, ROUGH, UNBOUNDED, VideoSender
from tests.conftest import Leaks
from tests.pictures import difference, plain, scene
from tests.waiting import until


def grey(peer: testing.TestPeer) -> float:
    return float(peer.pictures[-1][1].mean()) if peer.pictures else -1.0


async def sees_it(peer: testing.TestPeer) -> None:
    """Wait until it sees a light picture."""
    await until(lambda: grey(peer) > 150)


async def test_generator_runs_once_for_all() -> None:
    """Three viewers see one run of a generator: the same pictures, encoded once."""
    runs = itertools.count()

    def counting() -> Iterator[Image]:
        next(runs)
        for number in itertools.count():
            yield plain((number % 200 + 20,) * 3, 64, 48)
            time.sleep(0.03)

    sessions = Stream(counting, shared=True).sessions()
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(testing.connect(sessions)) for _ in range(3)]
        await until(lambda: all(len(peer.pictures) > 20 for peer in peers))
        shown = [dict(peer.pictures) for peer in peers]
        common = set(shown[0]) & set(shown[1]) & set(shown[2])
        assert len(common) > 10, "one timestamp is one picture for all"
        for at in common:
            assert np.array_equal(shown[0][at], shown[1][at])
            assert np.array_equal(shown[0][at], shown[2][at])
        encodings = {id(peer.session._wiring.senders[0]._encoding) for peer in peers}  # type: ignore[union-attr]
        assert len(encodings) == 1
        assert next(runs) == 1


async def test_joiner_sees_the_picture_that_is_held() -> None:
    """Who comes late gets the last picture at once, though nothing new is yielded."""

    def once() -> Iterator[Image]:
        yield plain((200,) * 3, 64, 48)

    sessions = Stream(once, shared=True).sessions()
    async with testing.connect(sessions) as first:
        await sees_it(first)
        times = []
        for _ in range(5):
            async with testing.connect(sessions) as second:
                connected = time.monotonic()
                await sees_it(second)
                times.append(time.monotonic() - connected)
        assert sorted(times)[2] < 0.3, times


async def test_sound_is_shared(leaks: Leaks) -> None:
    """A generator of pictures and sound reaches two viewers, the same to both; nothing leaks."""

    def tone() -> Iterator[tuple[Image, Samples]]:
        for start in itertools.count(0, 960):
            at = np.arange(start, start + 960)
            yield plain((90,) * 3, 64, 48), 0.3 * np.sin(2 * np.pi * 440 * at / 48_000)

    async def watched() -> None:
        sessions = Stream(tone, shared=True).sessions()
        async with testing.connect(sessions) as first, testing.connect(sessions) as second:
            await asyncio.gather(first.hear(0.5), second.hear(0.2))
            await until(lambda: len(first.sound) > 20 and len(second.sound) > 20)
            parts = dict(first.sound)
            same = [(at, part) for at, part in second.sound if at in parts]
            assert len(same) > 10
            for at, part in same[5:]:  # each decoder's first packets settle
                assert np.abs(parts[at].astype(int) - part).max() < 400
            await until(lambda: grey(first) > 60 and grey(second) > 60)
        await until(lambda: not len(sessions))

    await watched()
    async with leaks():
        await watched()


async def test_one_publisher_and_its_viewers() -> None:
    """A filter's first visitor that sends is the source; others watch what the function makes."""

    def flip(image: Image) -> Image:
        return image[::-1]

    sessions = Stream(flip, shared=True).sessions()
    with pytest.raises(Problem) as nobody:
        async with testing.connect(sessions, watch=True):
            pass
    assert nobody.value.status == 409 and "Retry-After" in nobody.value.headers
    async with testing.connect(sessions) as source:
        back = await source.apply(scene())
        assert difference(back, scene()[::-1]) < 12
        async with testing.connect(sessions, watch=True) as viewer:
            await until(lambda: bool(viewer.pictures))
            assert difference(viewer.pictures[-1][1], scene()[::-1]) < 12
            for _ in range(3):
                pts = source.send(scene())
                await until(lambda pts=pts: any(at == pts for at, _ in viewer.pictures))  # type: ignore[misc]
            with pytest.raises(Problem, match="has its source already"):
                async with testing.connect(sessions):
                    pass
            assert viewer.session is not None
            stages = (await viewer.message("stats"))["stages"]
            assert {"decode", "function", "encode", "send", "total"} <= stages.keys()
            await source.session.end("enough")  # type: ignore[union-attr]
            end = await viewer.message("end")
            assert end["reason"] == "the source has stopped"
    async with testing.connect(sessions) as source:
        await source.apply(scene())


async def test_controls_are_everybodys() -> None:
    """Who sets a control sets it for all, and all are told."""

    def shade(level: Live[int] = Live(50)) -> Iterator[Image]:
        while True:
            yield plain((level.value,) * 3, 64, 48)
            time.sleep(0.02)

    sessions = Stream(shade, shared=True).sessions()
    async with testing.connect(sessions) as first, testing.connect(sessions) as second:
        await until(lambda: 30 < grey(second) < 70)
        assert (await first.set(level=200))["level"] == 200
        await until(lambda: second.values.get("level") == 200)
        await until(lambda: grey(first) > 170 and grey(second) > 170)
        assert (await second.set(level=100))["level"] == 100, "each numbers its own messages"
        await until(lambda: first.values.get("level") == 100 and 70 < grey(first) < 130)


async def test_words_and_results_reach_all() -> None:
    """Results, notices and data of a shared run go to everybody, and anybody's data come to it."""

    def count(session: Session) -> Iterator[int]:
        for number in itertools.count():
            for data in session.receive():
                session.send({"heard": data})
            yield number
            time.sleep(0.02)

    sessions = Stream(count, shared=True).sessions()
    async with testing.connect(sessions) as first, testing.connect(sessions) as second:
        await first.message("result")
        await second.message("result")
        second.send_text('{"type":"data","data":"hello"}')
        for peer in (first, second):
            assert (await peer.message("data"))["data"] == {"heard": "hello"}


async def test_run_ends_with_its_last_viewer(leaks: Leaks) -> None:
    """The generator is closed when nobody watches, and begins anew for the next who comes."""
    closed: list[int] = []
    began: list[int] = []

    def f() -> Iterator[Image]:
        began.append(1)
        try:
            while True:
                yield plain((90,) * 3, 64, 48)
                time.sleep(0.02)
        finally:
            closed.append(1)

    sessions = Stream(f, shared=True).sessions()
    for turn in (1, 2):
        async with testing.connect(sessions) as peer:
            await until(lambda peer=peer: bool(peer.pictures))  # type: ignore[misc]
            assert len(began) == turn
        await until(lambda turn=turn: len(closed) == turn)  # type: ignore[misc]
    async with leaks(), testing.connect(sessions) as peer:
        await until(lambda: bool(peer.pictures))


def test_what_cannot_be_shared() -> None:
    """Two functions, and those that take recordings, are refused with the reason."""

    def pictures(image: Image) -> Image:
        return image

    def sounds(samples: Samples) -> Samples:
        return samples

    def take(recording: Recording) -> int:
        return 1

    with pytest.raises(ValueError, match="shared=True goes with"):
        Stream(video=pictures, audio=sounds, shared=True)
    with pytest.raises(ValueError, match="shared=True goes with"):
        Stream(take, shared=True)


async def test_controls_restart_the_run() -> None:
    """A control that is not Live begins the shared generator anew, as the page's run does."""
    levels: list[int] = []

    def shade(level: int = 50) -> Iterator[Image]:
        levels.append(level)
        while True:
            yield plain((level,) * 3, 64, 48)
            time.sleep(0.02)

    sessions = Stream(shade, shared=True).sessions()
    async with testing.connect(sessions) as first, testing.connect(sessions) as second:
        await until(lambda: 30 < grey(second) < 70)
        await first.set(level=200)
        await until(lambda: grey(first) > 170 and grey(second) > 170)
        second.send_text('{"type":"run"}')
        await until(lambda: levels == [50, 200, 200])


async def test_refused_viewer_leaves_the_source_its_run() -> None:
    """A viewer who finds nothing while the source is being negotiated does not end its run."""

    def same(image: Image) -> Image:
        return image

    sessions = Stream(same, shared=True).sessions()
    run = sessions._shared_run(None)
    run.enter()  # a source whose offer is being read
    with pytest.raises(Problem):
        async with testing.connect(sessions, watch=True):
            pass
    async with testing.connect(sessions) as source:
        assert sessions._run is run
        await source.apply(scene())


async def test_run_that_ends_while_a_session_is_negotiated(monkeypatch: Any) -> None:
    """Whoever is being negotiated when the run ends gets another one."""

    def held() -> Iterator[Image]:
        yield plain((200,) * 3, 64, 48)

    accept = PeerConnection.accept
    sessions = Stream(held, shared=True).sessions()

    async def ended_before(self: PeerConnection, offer: str) -> None:
        monkeypatch.setattr(PeerConnection, "accept", accept)
        await accept(self, offer)
        sessions._run.end_soon("enough")  # type: ignore[union-attr]

    monkeypatch.setattr(PeerConnection, "accept", ended_before)
    async with testing.connect(sessions) as peer:
        await until(lambda: grey(peer) > 150)
        assert len(sessions) == 1


async def test_many_changes_are_few_messages_to_the_others() -> None:
    """A slider that is moved tells the other pages its newest value, not every one."""

    def shade(level: Live[int] = Live(50)) -> Iterator[Image]:
        yield plain((level.value,) * 3, 64, 48)

    sessions = Stream(shade, shared=True).sessions()
    async with testing.connect(sessions) as first, testing.connect(sessions) as second:
        await until(lambda: "level" in second.values and "level" in first.values)
        second.messages.clear()
        for level in range(100):
            first.send_text(json.dumps({"type": "set", "seq": level, "values": {"level": level}}))
        await until(lambda: second.values["level"] == 99)
        assert sum(message["type"] == "controls" for message in second.messages) < 50


async def test_shared_function_of_sound_that_gives_none_has_no_queue() -> None:
    """The silence that stands for what it raises would fill one that nobody takes from."""

    def words(samples: Samples) -> str:
        return "word"

    sessions = Stream(words, shared=True).sessions()
    async with testing.connect(sessions):
        worker = sessions._run.worker  # type: ignore[union-attr]
        assert isinstance(worker, AudioFilter) and worker._outlet is None


async def test_latency_is_asked_of_a_shared_run_s_viewers() -> None:
    """A viewer of a shared run is asked to show pictures at once, as of any other."""

    def once() -> Iterator[Image]:
        yield plain((200,) * 3, 64, 48)

    async with testing.connect(Stream(once, shared=True, latency="lowest")) as peer:
        await until(lambda: grey(peer) > 150)
        writer = peer.session._wiring.senders[0]._writer  # type: ignore[union-attr]
        assert writer is not None and writer.playout_delay == (0, 0)


async def test_auto_follows_the_jitter() -> None:
    """By default pictures are shown at once, until the receiver reports that packets come unevenly,
    and again when they no longer do; in between it stays as it is."""

    def once() -> Iterator[Image]:
        yield plain((200,) * 3, 64, 48)

    async with testing.connect(Stream(once)) as peer:
        await until(lambda: grey(peer) > 150)
        [sender] = peer.session._wiring.senders  # type: ignore[union-attr]
        assert isinstance(sender, VideoSender) and sender._writer is not None
        asked = []
        for jitter in (0.0, ROUGH - 0.001, ROUGH + 0.001, CALM + 0.001, CALM - 0.001):
            sender._on_report(0.0, jitter, 1_000_000)
            asked.append(sender._writer.playout_delay)
        assert asked == [AT_ONCE, AT_ONCE, UNBOUNDED, UNBOUNDED, AT_ONCE]
