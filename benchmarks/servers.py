"""The servers that are compared: ``python -m benchmarks.servers aiortc`` or ``... rtcstream``.

Either serves the benchmarks' pages at ``/page/`` and takes offers at ``/instant/session``,
``/slow/session`` and ``/loopback/session``, prints its address, and ends with its standard input.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray

from benchmarks.stamp import stamp
from rtcstream import Bitrate, Image, Samples, Stream
from rtcstream.server import loop_factory

PAGE = Path(__file__).parent / "page"
SLOW_SECONDS = 0.05

Function = Callable[[NDArray[Any]], NDArray[Any]]


def instant(image: Image) -> Image:
    return cv2.GaussianBlur(image, (3, 3), 0)


def slow(image: Image) -> Image:
    time.sleep(SLOW_SECONDS)
    return cv2.GaussianBlur(image, (3, 3), 0)


def loopback(samples: Samples) -> Samples:
    return samples


FUNCTIONS: tuple[Function, ...] = (instant, slow, loopback, stamp)


class FilteredTrack(MediaStreamTrack):
    """What aiortc's examples do: wait for the next frame, change it on the spot, return it."""

    kind = "video"

    def __init__(self, source: MediaStreamTrack, function: Function) -> None:
        super().__init__()
        self._source = source
        self._function = function

    async def recv(self) -> av.VideoFrame:
        frame = await self._source.recv()
        assert isinstance(frame, av.VideoFrame)
        picture = self._function(frame.to_ndarray(format="bgr24"))
        filtered = av.VideoFrame.from_ndarray(picture, format="bgr24")
        filtered.pts, filtered.time_base = frame.pts, frame.time_base
        return filtered


class PlainServer:
    """Offers answered by aiortc as it comes, but for the public STUN server it would ask."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._connections: list[RTCPeerConnection] = []

    async def open(self, request: web.Request) -> web.Response:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(connection)

        def on_track(track: MediaStreamTrack) -> None:
            # Sound goes back as it came.
            filtered = FilteredTrack(track, self._function) if track.kind == "video" else track
            connection.addTrack(filtered)

        connection.on("track", on_track)
        offer = RTCSessionDescription(sdp=await request.text(), type="offer")
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        answer = connection.localDescription.sdp
        return web.Response(status=201, text=answer, content_type="application/sdp")


def aiortc_app(function: Function) -> web.Application:
    app = web.Application()
    app.router.add_post("/session", PlainServer(function).open)
    return app


def rtcstream_app(function: Function) -> web.Application:
    said = os.environ.get("RTCSTREAM_BITRATE")
    bitrate = Bitrate(start=int(said), most=int(said)) if said else None
    return Stream(function, bitrate=bitrate).app()


APPS = {"aiortc": aiortc_app, "rtcstream": rtcstream_app}


async def serve(kind: str) -> None:
    app = web.Application()
    app.router.add_static("/page/", PAGE)
    for function in FUNCTIONS:
        app.add_subapp(f"/{function.__name__}/", APPS[kind](function))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


def end_with_parent() -> None:
    """End at once when standard input does: nothing here is worth an orderly end."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    kind = sys.argv[1]
    # As `rtcstream.serve` runs it: on uvloop where that is installed.
    with asyncio.Runner(loop_factory=loop_factory() if kind == "rtcstream" else None) as runner:
        runner.run(serve(kind))
