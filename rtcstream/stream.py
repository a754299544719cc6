"""``Stream``: a function, and the application that serves it."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from aiohttp import web

from . import signaling, signature
from .access import Access, Auth
from .admission import admission_of
from .controls import Control, in_words
from .errors import CommandError, SignatureError
from .gate import GATE, Gate
from .lifespan import Lifespan
from .limits import Limits
from .media import leave_room
from .negotiator import ICE, Sessions
from .operations import serving
from .options import Codec, MediaOptions
from .runner import HANG_TIMEOUT, Isolation, Runner, RunOptions
from .server import ServeOptions, loading, serve
from .session_limits import SessionLimits
from .signature import Signature
from .transport import h264, vpx
from .transport.bitrate import Bitrate
from .transport.sender import Latency
from .turn import Call, IceServers, ice_options

VERSION = 1
"""The wire contract's."""

STATIC = Path(__file__).parent / "static"


def first_paragraph(docstring: str) -> str:
    """Its first paragraph, on one line."""
    return " ".join(docstring.split("\n\n")[0].split())


class Stream:
    """A function that runs live: on a visitor's camera or microphone, or of itself.

    The signature is the app: the ``Image`` or ``Samples`` parameter is the input, the return type
    the output, every other parameter a control (see the README's table). ``fn`` may be plain (it
    runs on a thread of each session), ``async``, a generator, a class (built once per session) or
    an instance of one (shared by all sessions, its calls one at a time; of a generator the call
    that makes it). ``Stream(video=f, audio=g)`` has one of each in one session, with one set of
    controls: a name that both have must mean the same.

    ``title`` and ``description`` are shown on the page; they default to the function's name and
    the first paragraph of its docstring. ``max_fps`` bounds how often a function of pictures is
    called, or a generator shows one, in each session: calls a second above zero; a generator's
    default is 30. ``bitrate`` bounds each viewer's video, in bits a second: a number (the most), or
    a ``Bitrate``; by default it goes by the size of the picture. ``latency`` asks browsers to show
    pictures at once (``"lowest"``), to smooth them as they see fit (``"smooth"``), or to do the one
    while the network is even and the other when it is not, or when sound goes beside the pictures
    (``"auto"``). ``codec`` is preferred where a visitor has it: ``"vp8"``, ``"h264"``, or
    ``"auto"``, which is H.264 where the machine encodes it in hardware, or else the browser's
    choice. ``shared`` makes one run of the function for all who watch: a generator's, or a filter's
    whose first visitor to send is the source; it is encoded once, and its controls are everybody's.
    ``lifespan`` is what loads a model, say, once for all sessions, when the stream begins to be
    served: a function, plain or async, that returns, or yields once and puts it away after that; it
    may take a ``Progress``, which pages show while they wait for it.
    ``hang_timeout`` is after how many seconds a call that has not returned is reported; None for
    never. ``isolation="process"`` runs the function in a worker process of each session, so that
    one that crashes, leaks or holds the interpreter harms no other; the process imports the
    function's module anew, and one more is kept ready.

    ``concurrency_limit`` is how many sessions there may be at once, viewers of a shared run
    included; who comes then waits in line, on the page and at ``./queue``. Streams of one
    ``concurrency_id`` share one limit (one graphics processor), and must all name the same.
    ``time_limit`` ends a session so many seconds after its first picture or sound has reached the
    function, or its generator has first yielded. ``idle_timeout`` ends it when its visitor has set
    no control, sent no data, recorded nothing and, where turns of speech are taken, said nothing
    for so many seconds. None is no limit.

    Raises SignatureError when a function's signature cannot be served, ValueError for options.
    """

    def __init__(
        self,
        fn: Any = None,
        *,
        video: Any = None,
        audio: Any = None,
        title: str | None = None,
        description: str | None = None,
        max_fps: float | None = None,
        bitrate: int | Bitrate | None = None,
        latency: Latency = "auto",
        codec: Codec = "auto",
        shared: bool = False,
        lifespan: Callable[..., Any] | None = None,
        hang_timeout: float | None = HANG_TIMEOUT,
        isolation: Isolation = "thread",
        concurrency_limit: int | None = None,
        concurrency_id: str | None = None,
        time_limit: float | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        if not isinstance(bitrate, Bitrate):
            bitrate = Bitrate(most=bitrate)
        self.options = MediaOptions(max_fps, bitrate, latency, codec)
        self.run_options = RunOptions(hang_timeout, isolation)
        self.limits = SessionLimits(concurrency_limit, concurrency_id, time_limit, idle_timeout)
        self.signatures = _read(fn, video, audio)
        self.lifespan = None if lifespan is None else Lifespan(lifespan)
        Runner(self.signatures, self.run_options, self.lifespan)  # refuses what cannot be run so
        self.controls = _merged(self.signatures)
        first = self.signatures[0]
        self.name = first.name
        self.title = title or in_words(self.name)
        if description is None:
            description = first_paragraph(first.description)
        self.description = description
        self.shared = shared
        if shared and (len(self.signatures) > 1 or first.take_in is not None):
            raise ValueError(
                "shared=True goes with one function of pictures or sound, or a generator; not with "
                "video= and audio= together, recordings or turns"
            )
        self._admission = admission_of(concurrency_limit, concurrency_id)

    def describe(self) -> dict[str, Any]:
        """``stream.json``, but for the server's ``iceServers``."""
        media = [kind for s in self.signatures for kind in s.out.kinds]
        results = any(s.out.results for s in self.signatures)
        return {
            "version": VERSION,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputs": [kind for s in self.signatures for kind in s.inputs],
            "outputs": [*media, "data"] if results else media,
            "controls": [control.describe() for control in self.controls],
            "limits": {
                "time_limit": self.limits.time_limit,
                "concurrency_limit": self.limits.concurrency_limit,
            },
            "maxFps": self.options.max_fps,
            "shared": self.shared,
            "take": next((_take(s) for s in self.signatures if s.take_in), None),
        }

    def sessions(self) -> Sessions:
        """A new set of sessions of this stream: what ``app`` serves, for a server of your own."""
        return Sessions(
            self.signatures,
            self.controls,
            self.describe(),
            self.options,
            self.shared,
            Runner(self.signatures, self.run_options, self.lifespan),
            self.limits,
            self._admission,
        )

    def app(
        self,
        *,
        ice_servers: Iterable[str | Mapping[str, Any]] | Call | IceServers | None = None,
        cors_origins: Sequence[str] | None = None,
        auth: Auth | None = None,
        limits: Limits | None = None,
    ) -> web.Application:
        """The page and its signaling, to run or to mount:
        ``app.add_subapp("/effect/", stream.app())``.

        ``ice_servers`` are STUN and TURN servers, as ``stun:host:port``,
        ``turn:user:password@host:port``, or a browser's RTCIceServer dictionary, none by default;
        or an ``IceServers``, or its async function, which gives those of each visitor.
        ``cors_origins`` are other sites whose pages may use the stream (``"*"``: all). ``auth`` is
        who may: a token, several, a dictionary of tokens by name, or an ``async def
        authorize(request)`` that returns an identity or None. ``limits`` bounds what visitors may
        ask for. All default to those of the application that it is mounted in. Raises ValueError.
        """
        app = web.Application()
        sessions = self.sessions()
        if ice_servers is not None:
            app[ICE] = ice_options(ice_servers)
        if limits is None:
            app.middlewares.append(sessions.gate.middleware(alone=True))
        else:
            app[GATE], app[signaling.MAX_BODY] = Gate(limits), limits.body
            app.middlewares.append(app[GATE].middleware())
        if auth is not None:
            app.middlewares.append(Access(auth).middleware(app, server="./"))
        signaling.setup(
            app,
            sessions,
            page=STATIC / "index.html",
            static=STATIC,
            cors_origins=cors_origins,
        )

        async def prepare(app: web.Application) -> None:
            """Try encoders now, and not on the event loop when the first visitor comes."""
            leave_room()
            sessions.runner.begin()
            await asyncio.to_thread(sessions.runner.warm)
            await asyncio.to_thread(vpx.available)
            if self.options.hardware:
                await asyncio.to_thread(h264.hardware)
            if (operations := serving.get()) is not None:
                operations.register(sessions)

        async def end_sessions(app: web.Application) -> None:
            await sessions.end_all("the server stopped")

        app.on_startup.append(prepare)
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


def _take(found: Signature) -> dict[str, Any] | None:
    """What the page needs to know of a function that takes media as a whole."""
    take = found.take_in
    if take is None:
        return None
    if (turn := take.turn) is None:
        return {"kind": "recording", "seconds": take.seconds}
    how = {"pushToTalk": turn.push_to_talk, "interrupts": turn.interrupt}
    return {"kind": "turns", "seconds": take.seconds, **how}


def _read(fn: Any, video: Any, audio: Any) -> list[Signature]:
    """The signatures of what the Stream was given: one function, or one of pictures and one of
    sound."""
    if (fn is None) == (video is None and audio is None):
        raise ValueError("give a Stream one function, or video= and audio=")
    if fn is not None:
        return [signature.read(fn)]
    signatures = []
    for kind, target in (("video", video), ("audio", audio)):
        if target is not None:
            found = signature.read(target)
            if found.inputs != [kind]:
                wanted = "image: Image" if kind == "video" else "samples: Samples"
                raise SignatureError(found.name, None, f"as {kind}= it must take `{wanted}`")
            signatures.append(found)
    return signatures


def _merged(signatures: Sequence[Signature]) -> list[Control]:
    """One set of controls of several functions; each sees those that it has."""
    controls: dict[str, Control] = {}
    for found in signatures:
        for control in found.controls:
            if controls.setdefault(control.name, control) != control:
                raise SignatureError(
                    found.name, control.name, "the other function has a different control so called"
                )
    return list(controls.values())
