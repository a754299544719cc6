"""Synthetic visitors, in a process of their own: ``python -m rtcstream.synthetic URL N SECONDS``.

Prints a line of JSON when all are connected and settled, and another with what they saw. They end
with their standard input.
"""

import asyncio
import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import aiohttp
import av
import numpy as np
from numpy.typing import NDArray

from .transport.replay import ReplayPeer

FPS = 30.0
WIDTH, HEIGHT = 640, 480
BITRATE = 1_500_000
CLIP_SECONDS = 3
SETTLE_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Visit:
    """What one visitor saw; times in ms."""

    sent: int
    received: int
    latencies: list[float]
    stats: dict[str, Any] | None


async def visit(url: str, sessions: int, seconds: float) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        async with http.get(f"{url}stream.json") as response:
            inputs = (await response.json())["inputs"]

        async def exchange(offer: str) -> str:
            headers = {"Content-Type": "application/sdp"}
            async with http.post(f"{url}session", data=offer, headers=headers) as response:
                return await response.text()

        clip = encode(scene())
        peers: list[ReplayPeer] = []
        try:
            for _ in range(sessions):
                peers.append(ReplayPeer(inputs, clip, FPS))
                await peers[-1].connect(exchange)
            await asyncio.sleep(SETTLE_SECONDS)
            for peer in peers:
                peer.sent = peer.received = 0
                peer.latencies.clear()
            say({"ready": True})
            used, start = time.process_time(), time.monotonic()
            await asyncio.sleep(seconds)
            took = time.monotonic() - start
            visits = [
                Visit(peer.sent, peer.received, [1000 * s for s in peer.latencies], peer.stats)
                for peer in peers
            ]
            processor = (time.process_time() - used) / took
            say(
                {
                    "visits": [dataclasses.asdict(each) for each in visits],
                    "seconds": took,
                    "processor": processor,
                }
            )
        finally:
            await asyncio.gather(*(peer.close() for peer in peers))


def scene() -> list[NDArray[np.uint8]]:
    """A camera that goes round over a mottled ground: BGR pictures that repeat without a seam."""
    random = np.random.default_rng(1)
    ground = np.zeros((HEIGHT + 160, WIDTH + 160, 3))
    for block in (4, 16, 80):  # detail of three sizes
        rows, columns = -(-ground.shape[0] // block), -(-ground.shape[1] // block)
        noise = random.uniform(0, 85, (rows, columns, 3)).repeat(block, 0).repeat(block, 1)
        ground += noise[: ground.shape[0], : ground.shape[1]]
    count = round(CLIP_SECONDS * FPS)
    angles = 2 * np.pi * np.arange(count) / count
    places = [(80 + round(80 * np.sin(a)), 80 + round(80 * np.cos(a))) for a in angles]
    return [ground[y : y + HEIGHT, x : x + WIDTH].astype(np.uint8) for y, x in places]


def encode(pictures: Sequence[NDArray[np.uint8]]) -> list[bytes]:
    """VP8, which begins with a keyframe and has no other."""
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.height, codec.width = pictures[0].shape[:2]
    codec.pix_fmt = "yuv420p"
    codec.time_base, codec.bit_rate = Fraction(1, round(FPS)), BITRATE
    codec.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    codec.gop_size = len(pictures)
    encoded = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = number, codec.time_base
        encoded += [bytes(packet) for packet in codec.encode(frame)]
    return [*encoded, *(bytes(packet) for packet in codec.encode(None))]


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(visit(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
