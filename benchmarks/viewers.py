"""What each further viewer of a shared stream costs: ``python -m benchmarks.viewers``.

A server process shows footage at 1280x720, 30 pictures a second and 1.5 Mbit/s, encoded once; a
second process watches with real ICE, DTLS and SRTP, and decodes nothing. The server's processor
time is read from the system's count for its process, with few viewers and with many.
"""

import argparse
import asyncio
import gc
import itertools
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import av
import cv2
from aiohttp import web
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtp import RtpPacket

from rtcstream import Bitrate, Image, Stream
from rtcstream.transport.encoding import VideoEncoding
from tests.browser import footage as path_of

SIZE = (1280, 720)
FPS = 30
BITRATE = 1_500_000
TICKS = os.sysconf("SC_CLK_TCK")


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


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


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


async def measure(counts: list[int], seconds: float, rounds: int) -> dict[str, Any]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=server, args=(theirs,), daemon=True
    )
    process.start()
    port = await asyncio.to_thread(ours.recv)
    assert process.pid is not None
    url = f"http://127.0.0.1:{port}/"
    viewers: list[tuple[RTCPeerConnection, Counter]] = []
    shares: dict[int, list[float]] = {count: [] for count in counts}
    slices: dict[int, float] = {}
    rates: dict[int, float] = {}
    async with aiohttp.ClientSession() as http:
        for _ in range(rounds):
            for count in counts:
                while len(viewers) < count:
                    viewers.append(await watch(url, http))
                while len(viewers) > count:
                    await viewers.pop()[0].close()
                await asyncio.sleep(2)
                ours.send(True)
                await asyncio.to_thread(ours.recv)
                frames = [counter.frames for _, counter in viewers]
                began, used = time.monotonic(), processor_seconds(process.pid)
                await asyncio.sleep(seconds)
                wall = time.monotonic() - began
                shares[count].append((processor_seconds(process.pid) - used) / wall)
                rates[count] = min(
                    (counter.frames - had) / wall
                    for (_, counter), had in zip(viewers, frames, strict=True)
                )
                ours.send(True)
                slices[count] = max(slices.get(count, 0.0), await asyncio.to_thread(ours.recv))
                print(f"{count} viewers: {shares[count][-1]:.1%} of a core")
    for connection, _ in viewers:
        await connection.close()
    ours.send(None)
    await asyncio.to_thread(process.join, 10)
    few, many = min(counts), max(counts)
    each = [
        (after - before) / (many - few)
        for before, after in zip(shares[few], shares[many], strict=True)
    ]
    return {
        "seconds": seconds,
        "rounds": rounds,
        "share_of_a_core": {count: statistics.median(each) for count, each in shares.items()},
        "each_viewer": {
            "median": statistics.median(each),
            "least": min(each),
            "most": max(each),
        },
        "least_frames_a_second": rates,
        "longest_slice_ms": {count: longest * 1000 for count, longest in slices.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = asyncio.run(measure(options.viewers, options.seconds, options.rounds))
    print(json.dumps(found, indent=2))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
