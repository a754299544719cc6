"""ICE servers whose credentials end: kept while good, asked for once, and a call that fails."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
import pytest

from rtcstream import IceServers, Image, Stream
from rtcstream.server import ServerOptions, listening
from rtcstream.turn import credentials, ice_options, resolved


def flip(image: Image) -> Image:
    return image[::-1]


class Service:
    """Gives servers that tell whose they are and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.broken = False
        self.now = 0.0
        self.release = asyncio.Event()
        self.release.set()

    async def __call__(self, identity: str | None) -> Iterable[str | Mapping[str, Any]]:
        self.calls += 1
        await self.release.wait()
        if self.broken:
            raise OSError("no answer, and secret=hunter2")
        return [f"turn:{identity}:{self.calls}@turn.example"]

    def clock(self) -> float:
        return self.now


def credential(servers: tuple[Mapping[str, Any], ...] | None) -> str:
    assert servers is not None
    return f"{servers[0]['username']} {servers[0]['credential']}"


async def test_kept_for_half_of_their_time() -> None:
    """Each identity's servers are given for half of their time, and then asked for again."""
    service = Service()
    source = IceServers(service, ttl=100, clock=service.clock)
    assert credential(await source.servers("ann")) == "ann 1"
    assert credential(await source.servers("bob")) == "bob 2"
    service.now = 49
    assert credential(await source.servers("ann")) == "ann 1"
    service.now = 51
    assert credential(await source.servers("ann")) == "ann 3"


async def test_one_call_in_flight() -> None:
    """All who ask at the same time wait for one call, and one who leaves does not end it."""
    service = Service()
    service.release.clear()
    source = IceServers(service)
    waiting = [asyncio.create_task(source.servers("ann")) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    service.release.set()
    assert {credential(await task) for task in waiting[1:]} == {"ann 1"}
    assert service.calls == 1


async def test_failing_call(caplog: pytest.LogCaptureFixture) -> None:
    """While the call fails, what is still good is given, then nothing; it is not asked all the
    time, and a success ends it."""
    service = Service()
    source = IceServers(service, ttl=100, clock=service.clock)
    await source.servers("ann")
    service.broken = True
    service.now = 60
    assert credential(await source.servers("ann")) == "ann 1"
    assert credential(await source.servers("ann")) == "ann 1"
    assert service.calls == 2
    service.now = 101
    assert await source.servers("ann") is None
    service.broken = False
    assert await source.servers("ann") is None
    service.now = 107
    assert credential(await source.servers("ann")) == "ann 4"
    assert len([r for r in caplog.records if "could not be had" in r.message]) == 2


async def test_call_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that does not return in time counts as failed."""
    monkeypatch.setattr("rtcstream.turn.CALL_TIMEOUT", 0.05)
    service = Service()
    service.release.clear()
    assert await IceServers(service).servers(None) is None


def test_credentials_of_coturn() -> None:
    """User name and password are those of draft-uberti-behave-turn-rest-00."""
    got = credentials("north", "ann", 1_700_000_000.5)
    assert got["username"] == "1700000000:ann"
    mac = hmac.new(b"north", b"1700000000:ann", hashlib.sha1).digest()
    assert got["credential"] == base64.b64encode(mac).decode()
    assert credentials("north", None, 1)["username"] == "1:visitor"
    assert credentials("north", "a:b é", 1)["username"] == "1:a%3Ab%20%C3%A9"


async def test_secret() -> None:
    """Of servers with a shared secret only TURN gets credentials, good for as long as said."""
    ice = ice_options(["stun:stun.example", "turn:turn.example:3478"], "north")
    found = await resolved(ice, "ann")
    assert found is not None
    stun, turn = found.servers
    assert set(stun) == {"urls"}
    expires = int(turn["username"].partition(":")[0])
    assert expires - time.time() == pytest.approx(86_400, abs=60)


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        (["turn:user:pass@turn.example"], "turn:HOST:PORT"),
        ([{"urls": "turn:turn.example"}], "as text"),
        ([], "needs a TURN server"),
    ],
)
def test_secret_without_servers_for_it(servers: list[Any], words: str) -> None:
    """A secret beside servers that it is not for is refused when the server starts."""
    with pytest.raises(ValueError, match=words) as caught:
        ice_options(servers, "north")
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize("broken", [False, True])
async def test_page_is_told(broken: bool) -> None:
    """`stream.json` has a visitor's servers; when they cannot be had it says so, and serves on."""
    service = Service()
    service.broken = broken
    options = ServerOptions(port=0, ice_servers=service)
    async with (
        listening(Stream(flip), options) as url,
        aiohttp.ClientSession() as client,
        client.get(url + "stream.json") as response,
    ):
        description = await response.json()
    if broken:
        assert (description["iceServers"], description["iceServersFailed"]) == ([], True)
    else:
        assert description["iceServers"][0]["urls"] == "turn:turn.example"
        assert "iceServersFailed" not in description
