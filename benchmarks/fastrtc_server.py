"""FastRTC's server, run by the interpreter of an environment of its own: see environments.py.

As benchmarks.servers does: serves the benchmarks' pages at ``/page/``, takes offers (FastRTC's, at
``/instant/webrtc/offer`` and ``/slow/webrtc/offer``), prints its address, ends with its standard
input. Nothing here knows rtcstream, which that environment has not.
"""

import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastrtc import Stream
from fastrtc.stream import Body

PAGE = Path(__file__).parent / "page"
SLOW_SECONDS = 0.05


def instant(image: Any) -> Any:
    return cv2.GaussianBlur(image, (3, 3), 0)


def slow(image: Any) -> Any:
    time.sleep(SLOW_SECONDS)
    return cv2.GaussianBlur(image, (3, 3), 0)


class Filter(Stream):  # type: ignore[misc]  # not there for mypy
    async def offer(self, body: Body) -> Any:
        """FastRTC's, and then the inputs that its page would send: it waits for them, and shows
        pictures as they came until then."""
        answer = await super().offer(body)
        self.set_input(body.webrtc_id, None)  # its place is the picture's
        return answer


def application() -> FastAPI:
    app = FastAPI()
    app.mount("/page", StaticFiles(directory=PAGE))
    for function in (instant, slow):
        Filter(
            handler=function,
            modality="video",
            mode="send-receive",
            concurrency_limit=100,  # one is the default
            server_rtc_configuration={"iceServers": []},  # no public STUN server
        ).mount(app, path=f"/{function.__name__}")
    return app


def end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    app = application()
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
