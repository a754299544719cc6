"""Who is still let in: how often, how many, and half-open sessions that give way."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rtcstream import Image, Limits, Stream, testing
from rtcstream.buckets import Bucket
from rtcstream.gate import Gate
from rtcstream.negotiator import Sessions
from rtcstream.server import ServerOptions, listening
from rtcstream.signaling import Problem
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.types import Peer
from tests.conftest import Serve
from tests.offers import ghost_offer
from tests.pictures import scene

SDP = {"Content-Type": "application/sdp"}
HERE = IceOptions(addresses=LOOPBACK)


def flip(image: Image) -> Image:
    return image[::-1]


class FakeGuest:
    def __init__(self, id: str, address: str, checked: bool = False) -> None:
        self.id, self.checked, self.given_up = id, checked, False
        self.peer = Peer(address, {})
        self.ended, self.lost = "", False
        self._handlers: dict[str, Callable[..., Any]] = {}

    def end_soon(self, reason: str, lost: bool = False) -> None:
        self.ended, self.lost = reason, lost

    def once(self, event: str, f: Any) -> None:
        self._handlers[event] = f

    def say(self, event: str, *arguments: Any) -> None:
        self._handlers[event](*arguments)


def enter(gate: Gate, guest: FakeGuest) -> FakeGuest:
    gate.admit(guest.peer.address)
    gate.enter(guest)
    return guest


def test_oldest_of_the_greediest_gives_way() -> None:
    """A full server gives up the oldest ghost of whoever has most, never one that was checked."""
    gate = Gate(Limits(half_open=4))
    real = enter(gate, FakeGuest("real", "192.0.2.1"))
    checked = enter(gate, FakeGuest("checked", "192.0.2.6", checked=True))
    ghosts = [enter(gate, FakeGuest(f"ghost {n}", "192.0.2.6")) for n in range(10)]
    assert [bool(ghost.ended) for ghost in ghosts] == [True] * 8 + [False] * 2
    assert all(ghost.lost for ghost in ghosts[:8]), "what one had to go on with is not its fault"
    assert not real.ended
    assert not checked.ended
    assert (gate.half_open, gate.given_up) == (4, 8)


def test_full_of_checked_sessions() -> None:
    """When all half-open sessions have a peer that answers, the next visitor is told to wait."""
    gate = Gate(Limits(half_open=2))
    guests = [enter(gate, FakeGuest(str(n), "192.0.2.1", checked=True)) for n in range(2)]
    with pytest.raises(Problem) as caught:
        gate.admit("192.0.2.2")
    assert caught.value.status == 503
    assert caught.value.headers["Retry-After"]
    guests[0].say("connected")
    gate.admit("192.0.2.2")


def test_sessions_of_an_address() -> None:
    """An address has so many sessions at a time, an IPv6 network too; one that ends makes room."""
    gate = Gate(Limits(sessions=2))
    first = enter(gate, FakeGuest("1", "2001:db8::1"))
    enter(gate, FakeGuest("2", "2001:db8::2"))
    with pytest.raises(Problem, match="trusted-proxy") as caught:
        gate.admit("2001:db8::3")
    assert caught.value.status == 429
    gate.admit("2001:db8:0:1::3")
    first.say("closed", "over")
    gate.admit("2001:db8::3")
    assert len(gate) == 1


def test_one_in_place_of_another() -> None:
    """A session that goes on in place of one that ends finds room where there is none."""
    gate = Gate(Limits(sessions=1, half_open=1))
    first = enter(gate, FakeGuest("1", "192.0.2.1"))
    gate.admit("192.0.2.1", instead=first)
    assert not first.ended
    gate.enter(FakeGuest("2", "192.0.2.1"))
    first.say("closed", "it goes on")
    with pytest.raises(Problem):
        gate.admit("192.0.2.1")
    with pytest.raises(Problem):
        gate.admit("192.0.2.1", instead=FakeGuest("3", "192.0.2.9"))


def test_places_of_an_address() -> None:
    """An address has so many places in line at a time; one that is left makes room, others' not."""
    gate = Gate(Limits(places=2))
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        gate.enter_line(address)
    with pytest.raises(Problem, match="2 places in line") as caught:
        gate.enter_line("192.0.2.1")
    assert caught.value.status == 429
    gate.leave_line("192.0.2.1")
    gate.enter_line("192.0.2.1")
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        gate.leave_line(address)
    assert not gate._places


async def test_posts_of_an_address() -> None:
    """POST requests over the burst are 429 with Retry-After; other methods are not counted."""
    options = ServerOptions(port=0, limits=Limits(post_burst=3, posts=0.5))
    async with listening(Stream(flip), options) as url, aiohttp.ClientSession() as client:
        statuses = []
        for _ in range(5):
            async with client.post(url + "session", data=b"v=0", headers=SDP) as response:
                statuses.append(response.status)
        assert statuses == [400, 400, 400, 429, 429]
        assert int(response.headers["Retry-After"]) in (1, 2)
        assert response.content_type == "application/problem+json"
        async with client.get(url + "stream.json") as response:
            assert response.status == 200


async def post_garbage(url: str, times: int) -> list[int]:
    statuses = []
    async with aiohttp.ClientSession() as client:
        for _ in range(times):
            async with client.post(url + "session", data=b"v=0", headers=SDP) as response:
                statuses.append(response.status)
    return statuses


async def test_stream_in_an_application_of_ones_own(serve: Serve) -> None:
    """A stream that somebody else's server has is bounded all the same, with limits of its own."""
    async with serve(Stream(flip).app(limits=Limits(post_burst=2, posts=0.5))) as url:
        assert await post_garbage(url, 3) == [400, 400, 429]
    async with serve(Stream(flip)) as url:
        assert 429 in await post_garbage(url, 150)


async def test_request_is_counted_once() -> None:
    """Where the server counts, a stream without limits of its own does not count once more."""
    app = web.Application()
    app.add_subapp("/one/", Stream(flip).app())
    app.add_subapp("/two/", Stream(flip).app(limits=Limits(post_burst=1, posts=0.5)))
    options = ServerOptions(port=0, limits=Limits(post_burst=300))
    async with listening(app, options) as url:
        assert set(await post_garbage(url + "one/", 150)) == {400}
        assert await post_garbage(url + "two/", 2) == [400, 429]


@pytest.mark.parametrize(
    ("limits", "body", "status"),
    [
        (Limits(body=100), "v=0\r\n" + "x" * 100, 413),
        (Limits(lines=10), "v=0\r\n" * 20, 400),
        (Limits(sections=2), "v=0\r\n" + "m=audio 9 x 0\r\n" * 3, 400),
        (Limits(candidates=1), "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 2, 400),
    ],
)
async def test_bounds_of_an_offer(limits: Limits, body: str, status: int) -> None:
    """The bounds of a body and of an offer are options, and answered as such."""
    options = ServerOptions(port=0, limits=limits)
    async with (
        listening(Stream(flip), options) as url,
        aiohttp.ClientSession() as client,
        client.post(url + "session", data=body.encode(), headers=SDP) as response,
    ):
        assert response.status == status
        detail = (await response.json(content_type=None))["detail"]
        assert "more than" in detail or "at most" in detail


@pytest.mark.parametrize("headers", [{"X": "y" * 3000}, {f"X-{n}": "y" for n in range(60)}])
async def test_bounds_of_headers(headers: dict[str, str]) -> None:
    """A long header, or very many, is 400 and does not reach the stream."""
    options = ServerOptions(port=0, limits=Limits(header=2000, headers=40))
    async with (
        listening(Stream(flip), options) as url,
        aiohttp.ClientSession() as client,
        client.get(url + "stream.json", headers=headers) as response,
    ):
        assert response.status == 400


@contextlib.asynccontextmanager
async def limited(gate: Gate) -> AsyncIterator[Sessions]:
    """Sessions that all come by this gate."""
    sessions = Stream(flip).sessions()
    sessions.connect = functools.partial(sessions.connect, gate=gate)  # type: ignore[method-assign]
    yield sessions
    await sessions.end_all("the test is over")


async def test_size_of_a_message() -> None:
    """A message over the limit's size is refused with how large it is, and the session goes on."""
    async with testing.connect(Stream(flip)) as peer:
        assert peer.session is not None
        peer.session.limits = Limits(message=1000)
        peer.send_text(json.dumps({"type": "data", "data": "x" * 1000}))
        assert "at most 1000" in (await peer.message("error"))["message"]
        await peer.apply(scene())


async def test_messages_a_second() -> None:
    """Messages over the rate are refused with one error a second, change nothing, end nothing."""

    def f(image: Image, level: int = 0) -> Image:
        return image

    stream = Stream(f)
    limits = Limits(messages=5, message_burst=20)
    async with testing.connect(stream) as peer:
        assert peer.session is not None
        peer.session._messages = Bucket(limits.messages, limits.message_burst)
        for level in range(1, 101):
            peer.send_text(json.dumps({"type": "set", "seq": level, "values": {"level": level}}))
        error = await peer.message("error", seq=None)
        assert "a second" in error["message"]
        await asyncio.sleep(0.3)  # a tokens' time, for `set` below
        peer._seq = 1000  # beyond those above
        values = await peer.set()
        assert 20 <= values["level"] < 50
        assert not [message for message in peer.messages if message["type"] == "error"]
        await peer.apply(scene())


async def test_given_up_while_it_is_answered() -> None:
    """An offer that makes room while it is being answered is told to try again."""
    async with limited(Gate(Limits(half_open=1))) as sessions:
        ghost = await ghost_offer()
        answers = await asyncio.gather(
            *(sessions.connect(ghost, {}, Peer("192.0.2.6", {}), HERE) for _ in range(3)),
            return_exceptions=True,
        )
        refused = [answer for answer in answers if isinstance(answer, Problem)]
        assert [problem.status for problem in refused] == [503, 503]
