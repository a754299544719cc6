"""So many sessions at once, each for so long: between two peers in one process."""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtcstream import Image, Recording, Session, Stream, testing
from rtcstream.gate import GATE
from rtcstream.limits import Limits
from rtcstream.negotiator import Sessions
from rtcstream.signaling import Problem
from rtcstream.transport.ice import IceOptions
from rtcstream.types import Peer
from tests.conftest import Leaks, Serve
from tests.pictures import plain
from tests.waiting import until

PICTURE = plain((90,) * 3, 64, 48)


def same(image: Image, level: int = 3) -> Image:
    return image


async def refused(sessions: Sessions, ticket: str | None = None) -> Problem:
    """The problem that a visitor gets."""
    with pytest.raises(Problem) as refusal:
        async with testing.connect(sessions, ticket=ticket):
            pass
    assert refusal.value.status == 503
    assert int(refusal.value.headers["Retry-After"]) >= 1
    return refusal.value


async def ticket_of(news: AsyncGenerator[dict[str, Any], None]) -> str:
    """What a place in the line gives in the end."""
    async with asyncio.timeout(10):
        while "ticket" not in (event := await anext(news)):
            pass
    return str(event["ticket"])


async def test_second_is_refused(leaks: Leaks) -> None:
    """With a limit of one the second gets 503, until the first has left; nothing leaks."""
    sessions = Stream(same, concurrency_limit=1).sessions()
    async with leaks():
        async with testing.connect(sessions):
            problem = await refused(sessions)
            assert "./queue" in problem.detail
        async with testing.connect(sessions) as peer:
            await peer.apply(PICTURE)
    assert sessions.door.admission.state.running == 0


async def test_bad_offers_hold_no_slot() -> None:
    """Offers and values that are refused leave the room free, with and without a ticket."""
    sessions = Stream(same, concurrency_limit=1).sessions()
    peer, ice = Peer(None, {}), IceOptions()
    audio_only = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    for offer in ("garbage", audio_only, ""):
        for values in ({}, {"level": "high"}):
            with pytest.raises(Problem) as refusal:
                await sessions.connect(offer, values, peer, ice)
            assert refusal.value.status == 400
    ticket = await ticket_of(sessions.door.queue(None))
    with pytest.raises(Problem) as refusal:
        await sessions.connect("garbage", {}, Peer(None, {"Rtcstream-Ticket": ticket}), ice)
    assert refusal.value.status == 400
    async with testing.connect(sessions):
        pass


async def test_cancelled_offer_holds_no_slot() -> None:
    """A client that leaves while its offer is answered leaves the room free."""
    sessions = Stream(same, concurrency_limit=1).sessions()

    async def enter() -> None:
        async with testing.connect(sessions):
            pass

    for steps in range(1, 40, 3):
        task = asyncio.create_task(enter())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: sessions.door.admission.state.running == 0)


async def test_waiting_for_a_ticket() -> None:
    """Who waits hears its position, gets a ticket when the first leaves, and is let in with it;
    one without is not."""
    sessions = Stream(same, concurrency_limit=1).sessions()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(testing.connect(sessions))
        first, second = sessions.door.queue(None), sessions.door.queue(None)
        assert await anext(first) == {"position": 1, "estimate": None}
        assert await anext(second) == {"position": 2, "estimate": None}
        await stack.aclose()
        ticket = await ticket_of(first)
        await refused(sessions)
        async with testing.connect(sessions, ticket=ticket):
            event = await anext(second)
            assert event["position"] == 1 and event["estimate"] >= 0
            await refused(sessions, ticket)
        await ticket_of(second)
        await first.aclose()
        await second.aclose()


async def test_place_that_is_left() -> None:
    """Who leaves the line gives the ticket to the next, at once if it was never told."""
    sessions = Stream(same, concurrency_limit=1).sessions()
    async with testing.connect(sessions):
        first, second = sessions.door.queue(None), sessions.door.queue(None)
        for news in (first, second):
            await anext(news)
    await first.aclose()
    async with testing.connect(sessions, ticket=await ticket_of(second)):
        pass
    await second.aclose()


async def test_streams_of_one_limit() -> None:
    """Streams of one concurrency_id share the room, whichever is visited."""
    one, two = [
        Stream(same, concurrency_limit=1, concurrency_id="test of one limit").sessions()
        for _ in range(2)
    ]
    other = Stream(same, concurrency_limit=1).sessions()
    async with testing.connect(one):
        await refused(two)
        async with testing.connect(other):
            pass
    async with testing.connect(two):
        await refused(one)


async def test_members_count() -> None:
    """Of a shared run each who watches counts."""

    def counting() -> Iterator[Image]:
        for number in itertools.count():
            yield plain((number % 200 + 20,) * 3, 64, 48)
            time.sleep(0.03)

    sessions = Stream(counting, shared=True, concurrency_limit=2).sessions()
    async with testing.connect(sessions), testing.connect(sessions):
        await refused(sessions)


async def test_end_sends_the_line_away() -> None:
    """When the server stops, the line ends, and there is no new place in it."""
    sessions = Stream(same, concurrency_limit=1).sessions()
    async with testing.connect(sessions):
        news = sessions.door.queue(None)
        await anext(news)
        await sessions.end_all("the server stopped")
        with pytest.raises(StopAsyncIteration):
            await anext(news)
    assert sessions.door.admission.state.waiting == 0


async def test_queue_over_http(serve: Serve) -> None:
    """The whole way by HTTP: refused, in line, a ticket, let in; one that leaves has no place."""
    stream = Stream(same, concurrency_limit=1)
    admission = stream._admission
    async with serve(stream) as url, aiohttp.ClientSession() as client:
        async with testing.connect(stream):
            headers = {"Content-Type": "application/sdp"}
            async with client.post(url + "session", data="v=0", headers=headers) as answer:
                assert answer.status == 503
            async with client.get(url + "queue") as gone:
                assert await gone.content.readline() == b'data: {"position": 1, "estimate": null}\n'
                async with client.get(url + "queue") as news:
                    assert b'"position": 2' in await news.content.readline()
                    gone.close()
                    async with asyncio.timeout(1):
                        while b'"position": 1' not in await news.content.readline():
                            pass
                    news.close()
            await until(lambda: admission.state.waiting == 0)
        async with client.get(url + "queue") as news:
            line = (await news.content.readline()).decode()
            assert line.startswith('data: {"ticket": "')
            ticket = line.split('"')[3]
            async with testing.connect(stream, ticket=ticket):
                assert await news.content.read() == b"\n"  # used: the answer ends


async def test_line_of_an_address(serve: Serve) -> None:
    """One address cannot fill the line; a place that is left counts no more."""
    stream = Stream(same, concurrency_limit=1)
    app = stream.app(limits=Limits(places=1))
    async with serve(app) as url, aiohttp.ClientSession() as client, testing.connect(stream):
        async with client.get(url + "queue") as news:
            await news.content.readline()
            async with client.get(url + "queue") as refusal:
                assert refusal.status == 429
                assert "places in line" in (await refusal.json())["detail"]
            news.close()
        await until(lambda: not app[GATE]._places)
        async with client.get(url + "queue") as news:
            assert news.status == 200
            news.close()


async def test_drain_sends_the_line_away() -> None:
    """Once no more begin, who waits is told at once, while the others go on."""
    sessions = Stream(same, concurrency_limit=1).sessions()
    async with testing.connect(sessions) as peer:
        news = sessions.door.queue(None)
        await anext(news)
        sessions.refuse_more()
        with pytest.raises(StopAsyncIteration):
            await anext(news)
        await peer.apply(PICTURE)


async def test_server_stops_with_a_line(serve: Serve) -> None:
    """Those who wait when the server stops hear the end of it at once."""
    stream = Stream(same, concurrency_limit=1)
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as client:
        url = await stack.enter_async_context(serve(stream))
        await stack.enter_async_context(testing.connect(stream))
        async with client.get(url + "queue") as news:
            await news.content.readline()
            started = time.monotonic()
            closing = asyncio.create_task(stack.aclose())
            await news.content.read()
            await closing
            assert time.monotonic() - started < 3


async def test_time_limit_counts_from_the_first_frame() -> None:
    """Waiting for the camera costs no time; then what remains is told each second, and the end."""
    sessions = Stream(same, time_limit=1.5).sessions()
    async with testing.connect(sessions) as peer:
        await asyncio.sleep(0.5)
        assert not any(message["type"] == "time" for message in peer.messages)
        started = time.monotonic()
        await peer.apply(PICTURE)
        assert (await peer.message("time"))["remaining"] == 1.5
        assert (await peer.message("time"))["remaining"] == pytest.approx(0.5, abs=0.2)
        assert (await peer.message("end"))["reason"] == "time_limit"
        assert time.monotonic() - started == pytest.approx(1.6, abs=0.4)
        assert peer.session is not None
        await peer.session.closed.wait()
    assert len(sessions) == 0


async def test_time_limit_counts_from_the_first_yield() -> None:
    """While a generator loads, no time is counted."""

    def slow() -> Iterator[int]:
        time.sleep(0.7)
        for number in itertools.count():
            yield number
            time.sleep(0.05)

    async with testing.connect(Stream(slow, time_limit=0.5)) as peer:
        started = time.monotonic()
        await peer.message("end", reason="time_limit")
        assert time.monotonic() - started > 1.1


async def test_time_limit_of_who_comes_back() -> None:
    """A session that goes on in place of another has what was left of its time, however often,
    and no room of its own."""
    sessions = Stream(same, concurrency_limit=1, time_limit=1.0).sessions()
    resume, started = None, 0.0
    async with AsyncExitStack() as stack:
        for _ in range(3):
            peer = await stack.enter_async_context(testing.connect(sessions, resume=resume))
            await peer.apply(PICTURE)
            started = started or time.monotonic()
            assert peer.session is not None
            resume = peer.session.id
            await peer.message("time")
            await asyncio.sleep(0.2)
        assert sessions.door.admission.state.running == 1
        await peer.message("end", reason="time_limit")
        assert 0.7 < time.monotonic() - started < 1.8
    await until(lambda: not len(sessions) and sessions.door.admission.state.running == 0)


async def test_time_limit_of_who_watches() -> None:
    """In a shared run each member has its own time."""

    def counting() -> Iterator[Image]:
        for number in itertools.count():
            yield plain((number % 200 + 20,) * 3, 64, 48)
            time.sleep(0.03)

    sessions = Stream(counting, shared=True, time_limit=1.0).sessions()
    async with testing.connect(sessions) as first:
        await first.message("time")
        await asyncio.sleep(0.5)
        async with testing.connect(sessions) as second:
            await second.message("time")
            await first.message("end", reason="time_limit")
            assert second.session is not None and not second.session.closed.is_set()
            await second.message("end", reason="time_limit")


async def test_time_limit_of_who_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor whose camera never comes does not keep the place for ever."""
    monkeypatch.setattr("rtcstream.wiring.UNSENT", 0.3)
    async with testing.connect(Stream(same, time_limit=0.2)) as peer:
        await peer.message("end", reason="time_limit")


async def test_idle_timeout() -> None:
    """Who does nothing is told, and then the session ends; a control that is set begins it anew;
    pictures alone do not."""
    async with testing.connect(Stream(same, idle_timeout=1.0)) as peer:
        started = time.monotonic()
        await asyncio.sleep(0.6)
        await peer.set(level=4)
        for _ in range(5):
            await peer.apply(PICTURE)
        log = await peer.message("log", level="warning")
        assert "the session ends in 1 s" in log["message"]
        await peer.message("end", reason="idle_timeout")
        assert time.monotonic() - started > 1.5


def recorded(take: Recording) -> str:
    return f"{take.samples.shape[1]} samples"


async def test_recording_is_no_idling() -> None:
    """What is recorded, or sent as data, counts as doing something."""
    async with testing.connect(Stream(recorded, idle_timeout=0.8)) as peer:
        started = time.monotonic()
        for text in ('{"type":"record","on":true}', '{"type":"data","data":1}'):
            await asyncio.sleep(0.5)
            peer.send_text(text)
        peer.send_sound(np.zeros((2, 960), np.float32))
        await peer.message("end", reason="idle_timeout")
        assert time.monotonic() - started > 1.6


async def test_function_closes_before_the_limit() -> None:
    """A session that ends otherwise ends its time too."""

    def closing(image: Image, session: Session) -> Image:
        session.close("enough")
        return image

    sessions = Stream(closing, time_limit=30, idle_timeout=30).sessions()
    async with testing.connect(sessions) as peer:
        peer.send(PICTURE)
        await peer.message("end", reason="enough")
        assert peer.session is not None
        await peer.session.closed.wait()
        await until(lambda: all(task.done() for task in peer.session._time._tasks))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"concurrency_limit": 0},
            "concurrency_limit must be a whole number from 1, or None, not 0",
        ),
        ({"concurrency_limit": 1.5}, "not 1.5"),
        ({"concurrency_limit": True}, "not True"),
        ({"concurrency_id": "gpu"}, "give concurrency_limit, too"),
        ({"time_limit": 0}, "time_limit must be seconds above zero, or None, not 0"),
        ({"time_limit": "60"}, "not '60'"),
        ({"idle_timeout": float("inf")}, "idle_timeout must be seconds above zero"),
        ({"idle_timeout": -1.0}, "not -1.0"),
    ],
)
def test_wrong_limits(options: dict[str, Any], words: str) -> None:
    """Limits that cannot be are refused when the stream is built."""
    with pytest.raises(ValueError, match=words):
        Stream(same, **options)


def test_description_tells_the_limits() -> None:
    """The page learns the limits that concern it."""
    stream = Stream(same, time_limit=60, concurrency_limit=2, idle_timeout=30)
    assert stream.describe()["limits"] == {"time_limit": 60, "concurrency_limit": 2}
