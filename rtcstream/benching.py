"""``python -m rtcstream bench app.py``: a function under load, with visitors that are not there."""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from . import loading
from .errors import CommandError
from .limits import LIFTED
from .negotiator import ICE
from .stream import Stream
from .transport.ice import LOOPBACK, IceOptions

FULL = 0.95
"""The share of the frame rate from which a session counts as held."""
READY_SECONDS = 60.0
"""For the visitors to connect."""


@dataclass(frozen=True)
class Load:
    """What the visitors saw and the server used; rates a second, times in ms, memory in MB."""

    full_rate: float
    sent: list[float]
    received: list[float]
    latencies: list[float]
    stages: dict[str, tuple[float, float]]  # p50 and p95, each the median session's
    processor: float  # cores, of the server
    visitors_processor: float
    memory: float
    memory_before: float

    @property
    def held(self) -> int:
        return sum(rate >= FULL * self.full_rate for rate in self.received)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0, or 1 after one line on stderr."""
    options = _parse(arguments)
    try:
        named = loading.load(options.target)
        if not isinstance(named.target, Stream):
            raise CommandError(f"{options.target} is an application; bench takes one Stream")
        load = asyncio.run(measure(named.target, options.sessions, options.seconds))
    except CommandError as error:
        print(f"rtcstream: {error}", file=sys.stderr)
        return 1
    print("\n".join(report(named.name, load)))
    return 0


async def measure(stream: Stream, sessions: int, seconds: float) -> Load:
    """Serve a stream here to visitors in a process of their own. Raises CommandError."""
    description = stream.describe()
    if "video" not in description["outputs"]:
        raise CommandError(f"bench loads streams that show video, and {stream.name} shows none")
    limit = description["limits"]["concurrency_limit"]
    if limit is not None and sessions > limit:
        raise CommandError(
            f"{stream.name} has concurrency_limit={limit}, and {sessions} are to come at once"
        )
    memory_before = _resident()
    async with _serving(stream) as url, _visiting(url, sessions, seconds) as visitors:
        await _said(visitors, READY_SECONDS)
        used, start = time.process_time(), time.monotonic()
        seen = await _said(visitors, seconds + READY_SECONDS)
        processor = (time.process_time() - used) / (time.monotonic() - start)
        memory = _resident()
    visits, took = seen["visits"], seen["seconds"]
    return Load(
        full_rate=min(30.0, description["maxFps"] or 30.0),
        sent=[each["sent"] / took for each in visits],
        received=[each["received"] / took for each in visits],
        latencies=[ms for each in visits for ms in each["latencies"]],
        stages=_stages([each["stats"] for each in visits if each["stats"]]),
        processor=processor,
        visitors_processor=seen["processor"],
        memory=memory,
        memory_before=memory_before,
    )


def report(name: str, load: Load) -> Iterator[str]:
    count = len(load.received)
    yield f"{name}: {count} session{'s' if count != 1 else ''}"
    rates = f"{min(load.received):.1f} to {max(load.received):.1f} pictures a second"
    yield f"  held at {load.full_rate:g} pictures a second: {load.held} of {count} ({rates})"
    if len(load.latencies) > 1:
        p50 = statistics.median(load.latencies)
        p95 = statistics.quantiles(load.latencies, n=20)[-1]
        yield f"  last packet in to last packet out: p50 {p50:.1f} ms, p95 {p95:.1f} ms"
    for stage, (p50, p95) in load.stages.items():
        yield f"    {stage}: p50 {p50:.1f} ms, p95 {p95:.1f} ms"
    share = f"{load.processor / count:.1%} of a core a session, {load.processor:.0%} in all"
    yield f"  processor: {share}"
    each = (load.memory - load.memory_before) / count
    yield f"  memory: {each:.1f} MB a session, {load.memory:.0f} MB in all"
    yield f"  (the visitors' own process: {load.visitors_processor:.0%} of a core, not counted)"
    if any(load.sent) and min(load.sent) < FULL * 30:
        yield "  The visitors could not send at their rate: the machine is too small for more."


def _stages(stats: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Of each stage of a picture's way that the sessions tell of."""
    told = [each.get("stages") or {} for each in stats]
    return {
        name: (
            statistics.median(each[name][0] for each in told if name in each),
            statistics.median(each[name][1] for each in told if name in each),
        )
        for name in dict.fromkeys(name for each in told for name in each)
    }


@contextlib.asynccontextmanager
async def _serving(stream: Stream) -> AsyncIterator[str]:
    app = stream.app(limits=LIFTED)
    app[ICE] = IceOptions(addresses=LOOPBACK)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK[0], 0).start()
        yield f"http://{LOOPBACK[0]}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _visiting(url: str, sessions: int, seconds: float) -> AsyncIterator[Process]:
    command = (sys.executable, "-m", "rtcstream.synthetic", url, str(sessions), str(seconds))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, limit=64 * 1024 * 1024
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()  # which ends it
        await process.wait()


async def _said(visitors: Process, timeout: float) -> Any:
    assert visitors.stdout is not None
    try:
        line = await asyncio.wait_for(visitors.stdout.readline(), timeout)
    except TimeoutError:
        raise CommandError(f"the visitors have said nothing for {timeout:g} seconds") from None
    if not line:
        raise CommandError("the visitors' process ended; it says why above")
    return json.loads(line)


def _resident() -> float:
    """This process's memory in MB; 0 where the system does not tell it so."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["VmRSS"].removesuffix("kB")) / 1024


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rtcstream bench",
        description="Load a stream with synthetic visitors that send real video, on this machine, "
        "and report what it holds and what that costs.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("target", metavar="NAME | app.py[:stream] | package.module:stream", help="what to load")
    add("--sessions", type=int, default=4, help="how many visitors (%(default)s)")
    add("--seconds", type=float, default=10.0, help="for how long (%(default)s)")
    options = parser.parse_args(arguments)
    if options.sessions < 1 or options.seconds <= 0:
        parser.error("load with one session at least, for more than 0 seconds")
    return options
