"""What each further viewer of a shared stream costs: ``python -m benchmarks.viewers``.

A server process shows footage at 1280x720, 30 pictures a second and 1.5 Mbit/s, encoded once; a
second process watches with real ICE, DTLS and SRTP, and decodes nothing. The server's processor
time is read from the system's count for its process, with few viewers and with many.
"""

import asyncio
import gc
import itertools
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

import aiohttp
import av
import cv2
from aiohttp import web
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtp import RtpPacket

from benchmarks.checks import Check, check
from benchmarks.common import Figures, Plan, main, progress, spreads
from benchmarks.cost import cpu_seconds
from benchmarks.figures import spread
from rtcstream import Bitrate, Image, Stream
from rtcstream.transport.encoding import VideoEncoding
from tests.browser import footage as path_of

SIZE = (1280, 720)
FPS = 30
BITRATE = 1_500_000
FEW, MANY = 1, 64
SHARE, LEAST, HELD = "thousandths of a core", "least pictures/s", "loop held up, ms"

ABOUT = "Measure what each further viewer of a shared stream costs the server."


def footage() -> Iterator[Image]:
    """A clip, over and over, at its pace."""
    with av.open(path_of("bikes.mp4")) as file:
        clip = [
            cv2.resize(frame.to_ndarray(format="bgr24"), SIZE)
            for frame in itertools.islice(file.decode(video=0), 90)
        ]
    due = time.monotonic()
    for picture in itertools.cycle([*clip, *reversed(clip)]):
        due = max(due + 1 / FPS, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0))
        yield picture


async def serve(pipe: Connection) -> None:
    """Serve the footage; answer each question with the seconds that the loop was held up most."""
    rate = Bitrate(start=BITRATE, least=BITRATE, most=BITRATE)
    stream = Stream(footage, shared=True, bitrate=rate, codec="vp8", max_fps=2 * FPS)
    runner = web.AppRunner(stream.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    pipe.send(runner.addresses[0][1])
    while (await asyncio.to_thread(pipe.recv)) is not None:
        encodings = [each for each in gc.get_objects() if isinstance(each, VideoEncoding)]
        longest = max((each.longest_slice for each in encodings), default=0.0)
        for each in encodings:
            each.longest_slice = 0.0
        pipe.send(longest)
    await runner.cleanup()


def server(pipe: Connection) -> None:
    asyncio.run(serve(pipe))


class Counter:
    """Takes a receiver's packets, decrypted, and counts them instead of decoding."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.packets = 0
        self.frames = 0
        receiver._handle_rtp_packet = self._count  # type: ignore[method-assign]

    async def _count(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self.packets += 1
        self.frames += packet.marker


async def watch(url: str, http: aiohttp.ClientSession) -> tuple[RTCPeerConnection, Counter]:
    connection = RTCPeerConnection()
    receiver = connection.addTransceiver("video", "recvonly").receiver
    counter = Counter(receiver)
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Content-Type": "application/sdp"}
    offer = connection.localDescription.sdp
    async with http.post(url + "session", data=offer, headers=headers) as response:
        assert response.status == 201, await response.text()
        answer = RTCSessionDescription(await response.text(), "answer")
    await connection.setRemoteDescription(answer)
    return connection, counter


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=server, args=(theirs,), daemon=True
    )
    process.start()
    port = await asyncio.to_thread(ours.recv)
    assert process.pid is not None
    viewers: list[tuple[RTCPeerConnection, Counter]] = []
    seen: dict[int, list[dict[str, float]]] = defaultdict(list)
    async with aiohttp.ClientSession() as http:
        for number in range(plan.rounds):
            for count in (FEW, MANY):
                progress(f"round {number + 1} of {plan.rounds}: {count} viewers")
                while len(viewers) < count:
                    viewers.append(await watch(f"http://127.0.0.1:{port}/", http))
                while len(viewers) > count:
                    await viewers.pop()[0].close()
                await asyncio.sleep(plan.warmup)
                ours.send(True)
                await asyncio.to_thread(ours.recv)
                frames = [counter.frames for _, counter in viewers]
                began, used = time.monotonic(), cpu_seconds(process.pid)
                await asyncio.sleep(plan.seconds)
                took = time.monotonic() - began
                ours.send(True)
                longest = await asyncio.to_thread(ours.recv)
                counted = zip(viewers, frames, strict=True)
                seen[count].append(
                    {
                        SHARE: (cpu_seconds(process.pid) - used) / took * 1000,
                        LEAST: min((counter.frames - had) / took for (_, counter), had in counted),
                        HELD: longest * 1000,
                    }
                )
    for connection, _ in viewers:
        await connection.close()
    ours.send(None)
    await asyncio.to_thread(process.join, 10)
    rows = {
        f"{count} viewer{'s' if count > 1 else ''}": spreads(rounds)
        for count, rounds in seen.items()
    }
    pairs = zip(seen[FEW], seen[MANY], strict=True)
    each = spread([(many[SHARE] - few[SHARE]) / (MANY - FEW) for few, many in pairs])
    rows["each further viewer"] = {SHARE: each}
    many = rows[f"{MANY} viewers"]
    return rows, [
        check("each further viewer: the server's processor time", each["median"], 2.0, "‰"),
        check("the event loop is held up by sending to all", many[HELD]["high"], 5.0),
        # Or the comparison would not be one.
        check("pictures that any viewer missed", FPS - many[LEAST]["low"], 1.5, "a second"),
    ]


def start(arguments: Sequence[str] | None = None) -> int:
    return main(run, Plan(rounds=5, seconds=8.0, warmup=2.0), "viewers", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
