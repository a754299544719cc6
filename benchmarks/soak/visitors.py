"""Processes full of visitors: ``python -m benchmarks.soak.visitors URL``.

Each line of standard input is a job as JSON, each line of output what came of it. It ends with its
standard input, at once.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp

from benchmarks.measure import ROOT, BenchmarkError
from benchmarks.soak.scenarios import Course, Place
from benchmarks.soak.visitor import Visitor

LIMIT = 1 << 24
"""Bytes of a line."""


async def come_and_go(
    url: str, http: aiohttp.ClientSession, sessions: int, at_once: int, pictures: int
) -> dict[str, Any]:
    """So many sessions, ``at_once`` at a time; each leaves when it has had its pictures."""
    left = iter(range(sessions))
    returned = 0
    failed: list[str] = []

    async def one_after_another() -> None:
        nonlocal returned
        for _ in left:
            visitor = Visitor(url, "filtered", http)
            try:
                await visitor.join()
                await visitor.watch(pictures)
                await visitor.delete()
                returned += visitor.returned
            except Exception as error:
                failed.append(f"{type(error).__name__}: {error}")
            finally:
                await visitor.close()

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return {"returned": returned, "failed": failed}


async def mix(
    url: str, http: aiohttp.ClientSession, seconds: float, at_once: int, seed: int
) -> dict[str, Any]:
    """Scenarios for so long, ``at_once`` at a time."""
    course = Course()
    places = [Place(url, http, Random(f"{seed} {number}")) for number in range(at_once)]
    await asyncio.gather(*(course.mix(place, seconds) for place in places))
    return vars(course)


async def tour(url: str, http: aiohttp.ClientSession) -> dict[str, Any]:
    """Each scenario once."""
    course = Course()
    await course.tour(Place(url, http, Random(0)))
    return vars(course)


async def stay(
    url: str, http: aiohttp.ClientSession, streams: list[str], staying: list[Visitor]
) -> dict[str, Any]:
    """A session of each of these streams, all of which go on when this returns."""
    failed: list[str] = []
    for stream in streams:
        visitor = Visitor(url, stream, http)
        staying.append(visitor)
        try:
            await visitor.join()
            await visitor.watch(1)
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}")
    return {"failed": failed}


async def work(url: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    staying: list[Visitor] = []
    connector = aiohttp.TCPConnector(limit=0, force_close=True)

    async def do(job: dict[str, Any]) -> None:
        match job.pop("do"):
            case "come and go":
                done = await come_and_go(url, http, **job)
            case "mix":
                done = await mix(url, http, **job)
            case "tour":
                done = await tour(url, http)
            case "stay":
                done = await stay(url, http, **job, staying=staying)
            case other:
                raise ValueError(f"there is no job {other!r}")
        print(json.dumps(done), flush=True)

    async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as jobs:
        while line := await reader.readline():
            jobs.create_task(do(json.loads(line)))
        os._exit(0)  # nothing here is worth an orderly end


class Visitors:
    """Such a process, from outside."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def do(self, what: str, timeout: float, **job: Any) -> dict[str, Any]:
        """Give it a job, and wait until it is done. Raises BenchmarkError."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **job}).encode() + b"\n")
        try:
            async with asyncio.timeout(timeout):
                line = await self.process.stdout.readline()
        except TimeoutError:
            raise BenchmarkError(f"visitors have not come back in {timeout:g} s") from None
        if not line:
            raise BenchmarkError("the visitors' process ended; it says why above")
        done: dict[str, Any] = json.loads(line)
        return done


@contextlib.asynccontextmanager
async def visitors(url: str) -> AsyncIterator[Visitors]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.soak.visitors", url),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
        limit=LIMIT,
    )
    try:
        yield Visitors(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    logging.getLogger("rtcstream").setLevel(logging.ERROR)  # what they see is counted
    asyncio.run(work(sys.argv[1]))
