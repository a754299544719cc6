"""One measurement: a server in a process of its own, and a page in Chromium that talks to it."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from benchmarks import environments

ROOT = Path(__file__).resolve().parent.parent
LISTEN_SECONDS = 30.0
MEMORY_INTERVAL = 0.5
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
"""FastRTC's Gradio would otherwise ask the network."""


class BenchmarkError(Exception):
    """It could not be measured; the message says why."""


@dataclass(frozen=True)
class Route:
    """What a picture goes through on its way from the canvas to the screen; sound likewise."""

    server: str
    function: str | None  # None: the browser's own echo
    neighbour: str | None = None  # the function of a second session, at the same time
    size: tuple[int, int] = (640, 480)

    def session(self, function: str | None) -> str | None:
        """Where offers go."""
        if function is None:
            return None
        return f"/{function}/" + ("webrtc/offer" if self.server == "fastrtc" else "session")


@dataclass(frozen=True)
class Measurement:
    """What one page saw, and the memory of the server meanwhile."""

    times: list[float]  # of each picture (or click) that was read, in seconds since the first one
    latencies: list[float]  # in ms
    unreadable: int
    codec: str | None
    size: tuple[int, int]
    memory: list[tuple[float, float]]  # (seconds since the start, resident MB)
    server: tuple[float, float] | None = None  # p50 and p95 in ms, from a frame to its packets


@dataclass(frozen=True)
class Server:
    url: str
    pid: int


async def measure(
    browser: Browser, route: Route, warmup: float, seconds: float, page: str = "index.html"
) -> Measurement:
    """Watch a route for ``seconds`` after ``warmup``, on a server started for it alone."""
    async with serving(route.server) as server, asyncio.TaskGroup() as tasks:
        memory: list[tuple[float, float]] = []
        sampling = tasks.create_task(_sample_memory(server.pid, memory))
        url = f"{server.url}/page/{page}"
        options = {"size": route.size, "warmup": warmup, "seconds": seconds}
        mine = {"session": route.session(route.function), **options}
        seen = tasks.create_task(_watch(browser, url, mine))
        if route.neighbour is not None:
            other = {"session": route.session(route.neighbour), **options}
            tasks.create_task(_watch(browser, url, other))
        result = await seen
        sampling.cancel()
    return Measurement(
        times=[sample["at"] / 1000 for sample in result["samples"]],
        latencies=[sample["latency"] for sample in result["samples"]],
        unreadable=result["unreadable"],
        codec=result["codec"],
        size=(result["size"][0], result["size"][1]),
        memory=memory,
        server=result.get("server"),
    )


@contextlib.asynccontextmanager
async def serving(kind: str, bitrate: int | None = None) -> AsyncIterator[Server]:
    """Run a server of ``benchmarks.servers``, or FastRTC's, inside the ``async with``."""
    if kind == "fastrtc":
        interpreter = await asyncio.to_thread(environments.python, kind)
        command = [str(interpreter), str(ROOT / "benchmarks" / "fastrtc_server.py")]
    else:
        command = [sys.executable, "-m", "benchmarks.servers", kind]
    environment = {**os.environ, **OFFLINE}
    if bitrate is not None:
        environment["RTCSTREAM_BITRATE"] = str(bitrate)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, env=environment
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(LISTEN_SECONDS):
            url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise BenchmarkError(f"the {kind} server ended before it listened; it says why above")
        yield Server(url, process.pid)
    finally:
        process.stdin.close()  # which ends it
        await process.wait()


async def _watch(browser: Browser, url: str, options: dict[str, Any]) -> dict[str, Any]:
    page = await browser.new_page()
    try:
        await page.goto(url)
        result: dict[str, Any] = await page.evaluate("options => measure(options)", options)
        return result
    finally:
        await page.close()


async def _sample_memory(pid: int, samples: list[tuple[float, float]]) -> None:
    start = time.monotonic()
    while True:
        samples.append((time.monotonic() - start, resident_megabytes(pid)))
        await asyncio.sleep(MEMORY_INTERVAL)


def resident_megabytes(pid: int) -> float:
    """The memory of a process that is in use (its resident set)."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmRSS"].removesuffix("kB")) / 1024
    output = subprocess.run(
        ("ps", "-o", "rss=", "-p", str(pid)), capture_output=True, text=True, check=True
    )
    return int(output.stdout) / 1024
