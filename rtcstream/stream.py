"""``Stream``: a function, and the application that serves it."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from aiohttp import web

from . import signaling, signature
from .controls import in_words
from .errors import CommandError
from .negotiator import ICE, Sessions
from .server import ServeOptions, loading, serve
from .transport.ice import IceOptions

VERSION = 1
"""The wire contract's."""

STATIC = Path(__file__).parent / "static"


def first_paragraph(docstring: str) -> str:
    """Its first paragraph, on one line."""
    return " ".join(docstring.split("\n\n")[0].split())


class Stream:
    """A function that runs live on a visitor's camera.

    The signature is the app: the ``Image`` parameter is the input, the return type the output,
    every other parameter a control (see the README's table). ``fn`` may be plain (it runs on a
    thread of each session), ``async``, a class (built once per session) or an instance of one
    (shared by all sessions, its calls one at a time).

    ``title`` and ``description`` are shown on the page; they default to the function's name and
    the first paragraph of its docstring. ``max_fps`` bounds how often the function is called for
    each session, in calls a second above zero.

    Raises SignatureError when the function's signature cannot be served, ValueError for options.
    """

    def __init__(
        self,
        fn: Any,
        *,
        title: str | None = None,
        description: str | None = None,
        max_fps: float | None = None,
    ) -> None:
        if max_fps is not None and not (math.isfinite(max_fps) and max_fps > 0):
            raise ValueError(f"max_fps must be above zero, or None for no bound, not {max_fps!r}")
        self.signature = signature.read(fn)
        self.name = self.signature.name
        self.title = title or in_words(self.name)
        if description is None:
            description = first_paragraph(self.signature.description)
        self.description = description
        self.max_fps = max_fps

    def describe(self) -> dict[str, Any]:
        """``stream.json``, but for the server's ``iceServers``."""
        outputs = ["video"] if self.signature.image_out else []
        return {
            "version": VERSION,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputs": ["video"],
            "outputs": [*outputs, "data"] if self.signature.results else outputs,
            "controls": [control.describe() for control in self.signature.controls],
            "limits": {"time_limit": None, "concurrency_limit": None},
            "maxFps": self.max_fps,
        }

    def sessions(self) -> Sessions:
        """A new set of sessions of this stream: what ``app`` serves, for a server of your own."""
        return Sessions(self.signature, self.describe(), self.max_fps)

    def app(
        self,
        *,
        ice_servers: Iterable[str | Mapping[str, Any]] | None = None,
        cors_origins: Sequence[str] | None = None,
    ) -> web.Application:
        """The page and its signaling, to run or to mount:
        ``app.add_subapp("/effect/", stream.app())``.

        ``ice_servers`` are STUN and TURN servers, as ``stun:host:port``,
        ``turn:user:password@host:port``, or a browser's RTCIceServer dictionary; none by default.
        ``cors_origins`` are other sites whose pages may use the stream (``"*"``: all). Both
        default to those of the application that it is mounted in. Raises ValueError.
        """
        app = web.Application()
        sessions = self.sessions()
        if ice_servers is not None:
            app[ICE] = IceOptions.of(ice_servers)
        signaling.setup(
            app,
            sessions,
            page=STATIC / "index.html",
            static=STATIC,
            cors_origins=cors_origins,
        )

        async def end_sessions(app: web.Application) -> None:
            await sessions.end_all("the server stopped")

        app.on_shutdown.append(end_sessions)
        return app

    def run(self, **options: Unpack[ServeOptions]) -> None:
        """Serve the stream until Ctrl-C. Takes the options of ``rtcstream.serve``.

        A program's last line: what is in the way, such as a port in use, ends it with one line.
        """
        try:
            serve(self, **options)
        except CommandError as error:
            if loading.get():
                raise
            sys.exit(f"rtcstream: {error}")
