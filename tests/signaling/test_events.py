"""The line over HTTP: server-sent events, and who may stand in it."""

import asyncio

import pytest

from rtcstream.signaling import Problem
from tests.signaling.conftest import FOREIGN, FRIEND, Client, FakeNegotiator, problem_of


async def test_events(client: Client, negotiator: FakeNegotiator) -> None:
    """What the negotiator tells comes as it is told, in the form of server-sent events, and
    nobody on the way keeps it."""
    negotiator.news.put_nowait({"position": 3, "estimate": 40.5})
    async with client.get("/queue") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        lines = answer.content
        assert await lines.readline() == b'data: {"position": 3, "estimate": 40.5}\n'
        assert await lines.readline() == b"\n"
        negotiator.news.put_nowait({"ticket": "t"})
        assert await lines.readline() == b'data: {"ticket": "t"}\n'
        negotiator.news.put_nowait(None)
        assert await lines.read() == b"\n"
    assert negotiator.waiting == 0


async def test_client_leaves(client: Client, negotiator: FakeNegotiator) -> None:
    """A client that closes the request loses its place within a second, though there is no news."""
    negotiator.news.put_nowait({"position": 1, "estimate": None})
    async with client.get("/queue") as answer:
        await answer.content.readline()
        assert negotiator.waiting == 1
        answer.close()
        async with asyncio.timeout(1):
            while negotiator.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_no_place(client: Client, negotiator: FakeNegotiator) -> None:
    """A refusal is an ordinary problem, not an event."""
    negotiator.error = Problem(503, "Full", "Come later.", {"Retry-After": "9"})
    async with client.get("/queue") as answer:
        assert answer.headers["Retry-After"] == "9"
        assert await problem_of(answer, 503) == "Come later."


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
async def test_other_methods(client: Client, negotiator: FakeNegotiator, method: str) -> None:
    """Only GET takes a place."""
    async with client.request(method, "/queue") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, OPTIONS"
    assert negotiator.waiting == 0


async def test_foreign_page(client: Client, negotiator: FakeNegotiator) -> None:
    """A page of another origin gets no place."""
    async with client.get("/queue", headers=FOREIGN) as answer:
        await problem_of(answer, 403)
    assert negotiator.waiting == 0


async def test_friendly_page(open_to_friend: Client, negotiator: FakeNegotiator) -> None:
    """A page of a named origin may read the events."""
    negotiator.news.put_nowait({"position": 1, "estimate": None})
    negotiator.news.put_nowait(None)
    async with open_to_friend.get("/queue", headers={"Origin": FRIEND}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert b"position" in await answer.read()
