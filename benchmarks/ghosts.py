"""Thousands of offers of nobody over HTTP, and visitors among them and after them."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace

import aiohttp
from aiortc import RTCSessionDescription

from benchmarks.measure import BenchmarkError
from rtcstream import Image, Limits, Stream, testing
from rtcstream.limits import DEFAULTS, LIFTED
from rtcstream.server import ServerOptions, listening
from rtcstream.transport.peer import PeerConnection
from tests.offers import ghost_offer
from tests.pictures import scene

ABOUT = """Send a server offers of nobody from one address while visitors come from another; once
where the oldest give way, as by default, and once where all stay half open. A line of JSON for
each; fails where a visitor waits for a second, or descriptors do not come back."""

GHOSTS = 2000
AT_ONCE = 4
"""Offers under way."""
THEIRS, OURS = "127.0.0.1", "127.0.0.2"
SDP = {"Content-Type": "application/sdp"}
GONE_SECONDS = 30.0

DISPLACED = replace(LIFTED, half_open=DEFAULTS.half_open)


@dataclass(frozen=True)
class Haunted:
    """Times in seconds; of a visitor, from its offer to a picture. Descriptors of the process,
    which has all ends in it: the server's, the visitors', the ghosts' requests."""

    ghosts: float
    """All of the offers."""
    among: float
    """A visitor half-way through them."""
    after: float
    """One after the last of them."""
    before: int
    most: int
    left: int

    @property
    def well(self) -> bool:
        return self.among < 1 and self.after < 1 and self.left <= self.before


def flip(image: Image) -> Image:
    return image[::-1]


async def haunt(limits: Limits, count: int = GHOSTS) -> Haunted:
    """Serve, with these limits, so many ghosts. Raises BenchmarkError."""
    ghost = await ghost_offer()
    options = ServerOptions(port=0, limits=limits, max_cpu=None, max_lag=None)
    sent, half_way, most = 0, asyncio.Event(), 0

    async def send(http: aiohttp.ClientSession) -> None:
        nonlocal sent, most
        while sent < count:
            sent += 1
            await offer(http, url, ghost)
            if sent % 20 == 0:  # counting them takes longer than an offer
                most = max(most, _descriptors())
            if sent > count / 2:
                half_way.set()

    async with listening(Stream(flip), options) as url, client(THEIRS) as http:
        await visit(url)  # what is made once
        before = _descriptors()
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(send(http))
            await half_way.wait()
            among = await visit(url)
        took = time.monotonic() - start
        after = await visit(url)
        await http.close()
        start = time.monotonic()
        while (left := _descriptors()) > before:
            if time.monotonic() - start > GONE_SECONDS:
                break
            await asyncio.sleep(0.05)
    return Haunted(took, among, after, before, most, left)


@contextlib.asynccontextmanager
async def client(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Who comes from an address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as opened:
        yield opened


async def offer(http: aiohttp.ClientSession, url: str, sdp: str) -> str:
    """The answer. Raises BenchmarkError."""
    async with http.post(url + "session", data=sdp.encode(), headers=SDP) as response:
        answer = await response.text()
        if response.status != 201:
            raise BenchmarkError(f"an offer was answered {response.status}: {answer}")
        return answer


async def visit(url: str) -> float:
    """A visitor with a camera; seconds from its offer to a picture that came back."""
    connection = PeerConnection(testing.LOCAL)
    channel = connection.createDataChannel("rtcstream")
    peer = testing.TestPeer(connection, channel, 10.0)
    opened = asyncio.Event()
    channel.on("open", opened.set)
    peer.offer_media("video", "sendrecv")
    try:
        await connection.setLocalDescription(await connection.createOffer())
        async with client(OURS) as http:
            start = time.monotonic()
            answer = await offer(http, url, connection.localDescription.sdp)
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await asyncio.wait_for(opened.wait(), 10)
            await peer.apply(scene(160, 120))
            return time.monotonic() - start
    finally:
        peer.close()
        await connection.close_within(2.0)


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def main() -> int:
    argparse.ArgumentParser(prog="python -m benchmarks.ghosts", description=ABOUT).parse_args()
    well = True
    for name, limits in {"the oldest give way": DISPLACED, "all stay": LIFTED}.items():
        seen = asyncio.run(haunt(limits))
        well = well and seen.well
        print(json.dumps({"limits": name} | asdict(seen) | {"well": seen.well}), flush=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
