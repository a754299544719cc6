"""The server that is soaked, a process of its own: ``python -m benchmarks.soak.server``.

It serves every stream of ``streams`` as ``rtcstream.serve`` would, address limits lifted, prints
its address, tells at ``/soak`` what it holds, and ends in good order when its standard input does.
"""

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import re
import sys
import threading
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.measure import ROOT, BenchmarkError, resident_megabytes
from benchmarks.soak import streams
from rtcstream import Stream
from rtcstream.gate import GATE
from rtcstream.limits import LIFTED
from rtcstream.negotiator import ICE, NETWORK, Sessions
from rtcstream.operations import Operations
from rtcstream.overload import Overload
from rtcstream.server import ServerOptions, listening, loop_factory
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.ports import PortRange, SharedPort
from tests.leaks import Holdings

LISTEN_SECONDS = 60.0
END_SECONDS = 60.0
OBJECTS_OF_ONE = 1000
"""Python objects of a session, at least: so many more may be one that is yet to be freed."""

OFFERED = {
    each.name: each
    for each in (
        Stream(streams.filtered),
        Stream(streams.isolated, isolation="process"),
        Stream(streams.line, concurrency_limit=streams.ROOM),
        Stream(streams.limited, time_limit=streams.TIME_LIMIT),
        Stream(streams.closing),
        Stream(streams.watched),
        Stream(streams.shared, shared=True),
        Stream(video=streams.both, audio=streams.quieter),
        Stream(streams.Counter),
    )
}

EXPECTED = re.compile(f"{streams.ON_PURPOSE}|the worker process died")
"""What the log may have at ERROR: the load means it."""


class Log(logging.Handler):
    """Counts warnings, keeps the first errors that nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()
        self.unexpected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[f"{record.levelname} {record.name}: {record.msg}"] += 1
        text = record.getMessage()
        if record.levelno >= logging.ERROR and not EXPECTED.search(text):
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            if len(self.unexpected) < 20:
                self.unexpected.append(text)


@dataclass
class Held:
    """What a server has at a moment."""

    resident: float
    """MB."""
    allocated: float
    """MB of it that malloc has given out; what is freed stays resident for the next. 0 where the
    C library does not tell (glibc does)."""
    objects: int
    """That Python's collector knows of."""
    threads: list[str]
    tasks: list[str]
    descriptors: list[str]
    sessions: dict[str, dict[str, Any]]
    """Of each stream: how many were opened, how many ended by what reason, how many there are."""
    gate: int
    half_open: int
    running: int
    """Slots of streams that are taken."""
    waiting: int
    """Tickets and places in lines."""
    kept: int
    """Lost sessions that may be resumed."""
    ports: int
    """UDP ports of a range that are taken, or entries of a shared port's tables."""
    workers: int
    """Worker processes."""
    instances: int
    """Of a class, built and not closed."""
    errors: list[str] = field(default_factory=list)
    log: dict[str, int] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)

    @property
    def live(self) -> int:
        return sum(each["live"] for each in self.sessions.values())

    def left(self) -> dict[str, int]:
        """What must be nothing when everybody has left."""
        counts = ("gate", "half_open", "running", "waiting", "kept", "ports", "instances")
        return {"live": self.live, **{name: getattr(self, name) for name in counts}}

    def against(self, before: "Held") -> dict[str, tuple[int, int]]:
        """What there may not be more of than before, now and then."""
        counts: dict[str, tuple[int, int]] = {
            figure: (len(getattr(self, figure)), len(getattr(before, figure)))
            for figure in ("threads", "tasks", "descriptors")
        }
        return {**counts, "workers": (self.workers, before.workers)}


class _MallInfo(ctypes.Structure):
    """``man 3 mallinfo2``: of all arenas together."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _allocated() -> float:
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0.0
    mallinfo.restype = _MallInfo
    told = mallinfo()
    return float(told.uordblks + told.hblkhd) / 2**20


def _ports(network: IceOptions) -> int:
    ports = network.ports
    if isinstance(ports, SharedPort):
        return sum(len(each) for each in ports.sockets.values())
    if isinstance(ports, PortRange):
        every = ports.last - ports.first + 1
        return sum(every - len(free) for free in ports._free.values())
    return 0


def _of(sessions: Sessions) -> dict[str, Any]:
    ledger = sessions.ledger
    return {
        "opened": ledger.opened,
        "closed": dict(ledger.closed),
        "live": len(sessions),
        "errors": ledger.total().errors,
        "frames_in": ledger.total().frames_in,
        "frames_out": ledger.total().frames_out,
    }


def _children() -> int:
    path = f"/proc/self/task/{os.getpid()}/children"
    found = 0
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(path.replace(str(os.getpid()), task)) as file:
            found += len(file.read().split())
    return found


def _types() -> dict[str, int]:
    counts = Counter(
        f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()
    )
    return dict(counts.most_common(400))


class Server:
    def __init__(self) -> None:
        self.operations = Operations(Overload(None, None))
        self.log = Log()
        self.application = web.Application()
        # Loopback alone: the load is this machine's.
        self.application[ICE] = IceOptions(addresses=LOOPBACK)
        for name, stream in OFFERED.items():
            self.application.add_subapp(f"/{name}/", stream.app())
        self.application.router.add_get("/soak", self._tell)

    async def _tell(self, request: web.Request) -> web.Response:
        """``?trim`` gives free memory back to the system first, ``?types`` counts objects."""
        if "trim" in request.query:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
        return web.json_response(self.held("types" in request.query).__dict__)

    def held(self, types: bool = False) -> Held:
        holdings = Holdings.count()
        gate = self.application[GATE]
        found = {each.name: each for each in self.operations.streams.values()}
        lines = {each.door.admission for each in found.values()}
        return Held(
            resident=resident_megabytes(os.getpid()),
            allocated=_allocated(),
            objects=len(gc.get_objects()),
            threads=sorted(each.name for each in holdings.threads),
            tasks=sorted(str(each.get_coro()) for each in holdings.tasks),
            descriptors=sorted(holdings.descriptors),
            sessions={name: _of(each) for name, each in found.items()},
            gate=len(gate),
            half_open=gate.half_open,
            running=sum(each.state.running for each in lines),
            waiting=sum(each.state.tickets + each.state.waiting for each in lines),
            kept=sum(len(each._keeper) for each in found.values()),
            ports=_ports(self.application[NETWORK]),
            workers=_children(),
            instances=streams.Counter.built - streams.Counter.closed,
            errors=self.log.unexpected,
            log=dict(self.log.counts),
            types=_types() if types else {},
        )

    async def serve(self, udp_ports: tuple[int, int] | None, udp_port: int | None) -> None:
        logging.getLogger().addHandler(self.log)
        options = ServerOptions(
            port=0,
            limits=LIFTED,
            max_lag=None,
            max_cpu=None,
            udp_ports=udp_ports,
            udp_port=udp_port,
        )
        async with listening(self.application, options, self.operations) as url:
            print(url, flush=True)
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()

            def wait() -> None:
                sys.stdin.read()
                loop.call_soon_threadsafe(ended.set)

            threading.Thread(target=wait, name="standard input", daemon=True).start()
            await ended.wait()
        print(json.dumps(self.log.unexpected), flush=True)


class Soaked:
    """The server's process, from outside."""

    def __init__(self, url: str, pid: int, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.pid = pid
        self.errors_at_end: list[str] = []
        self._http = http

    async def held(self, *, trim: bool = False, types: bool = False) -> Held:
        asked = [name for name, wanted in (("trim", trim), ("types", types)) if wanted]
        async with self._http.get(f"{self.url}soak?{'&'.join(asked)}") as response:
            return Held(**await response.json())

    async def empty(self, before: Held | None = None, within: float = 60.0) -> Held:
        """What it holds once everybody has left, and what ends a moment later has ended; as much as
        ``before`` or less. After so many seconds nevertheless."""
        deadline = asyncio.get_running_loop().time() + within
        held = await self.held()
        while asyncio.get_running_loop().time() < deadline:
            had, held = held, await self.held()
            more = any(now > then for now, then in held.against(before or had).values())
            late = before is not None and held.objects > before.objects + OBJECTS_OF_ONE
            if not more and not late and not any(held.left().values()):
                break
            await asyncio.sleep(0.3)
        return held


@contextlib.asynccontextmanager
async def soaked(*options: str) -> AsyncIterator[Soaked]:
    """Run the server inside the ``async with``; it must end in good order, and in time."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.soak.server", *options),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(LISTEN_SECONDS):
            url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise BenchmarkError("the server ended before it listened; it says why above")
        # A connection that is kept for the next question would be among what is counted.
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            server = Soaked(url, process.pid, http)
            yield server
        process.stdin.close()
        async with asyncio.timeout(END_SECONDS):
            said = await process.stdout.readline()
            status = await process.wait()
        if status or not said:
            raise BenchmarkError(f"the server ended with status {status}")
        server.errors_at_end = json.loads(said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    ports = [int(each) for each in sys.argv[1:]]
    span = (ports[0], ports[1]) if len(ports) == 2 else None
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(Server().serve(span, ports[0] if len(ports) == 1 else None))
