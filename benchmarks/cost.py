"""What a server spends on a picture: plain aiortc, FastRTC, rtcstream, and the bare work alone."""

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Browser

from benchmarks.call import calling
from benchmarks.checks import Check, check, ratio
from benchmarks.common import Figures, Plan, browsing, main, progress, spreads
from benchmarks.measure import ROOT, BenchmarkError, Route, serving
from tests.browser import footage, write_camera

ROUTES = {
    "plain aiortc": Route("aiortc", "instant"),
    "FastRTC": Route("fastrtc", "instant"),
    "rtcstream": Route("rtcstream", "instant"),
}
BARE = "bare work"
ECHO = Route("rtcstream", None)
FILM = "carphone_pristine.mp4"
BITRATE = 500_000
"""What the browser sends at most, where aiortc begins: what a server decodes is the same then."""
HEADROOM = 1.1
CPU, RATE, FPS = "CPU of a frame, ms", "kbit/s", "pictures/s"

ABOUT = "Measure the processor time that a server takes for each picture that it filters."


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    seen: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        camera = write_camera(footage(FILM), Path(folder) / "camera.y4m")
        async with browsing(camera) as browser:
            for number in range(plan.rounds):
                for name, route in ROUTES.items():
                    progress(f"round {number + 1} of {plan.rounds}: {name}")
                    # What it encodes is no less: what it is told is the most that it takes.
                    had = seen["FastRTC"][-1][RATE] * 1000 if name == "rtcstream" else None
                    bits = None if had is None else round(had * HEADROOM)
                    seen[name].append(await measure(browser, route, plan, bits))
                progress(f"round {number + 1} of {plan.rounds}: {BARE}")
                # At the bitrate that rtcstream had: the work of an encoder grows with it. Beside a
                # call that the browser has with itself, which wants the caches as ours do.
                async with (
                    serving("rtcstream") as server,
                    calling(browser, server.url, ECHO, camera=True, bitrate=BITRATE),
                ):
                    seen[BARE].append(await bare(seen["rtcstream"][-1][RATE]))
    rows = {name: spreads(rounds) for name, rounds in seen.items()}
    cpu = {name: row[CPU]["median"] for name, row in rows.items()}
    ours, theirs = (rows[name][RATE]["median"] for name in ("rtcstream", "FastRTC"))
    return rows, [
        ratio("processor time of a frame, of FastRTC's", cpu["rtcstream"], cpu["FastRTC"], 0.6),
        ratio("processor time of a frame, of the bare work's", cpu["rtcstream"], cpu[BARE], 1.5),
        # Or the comparison would not be one.
        check("FastRTC's bitrate: no more than rtcstream's", theirs, ours * 1.1, "kbit/s"),
    ]


async def measure(
    browser: Browser, route: Route, plan: Plan, bitrate: int | None
) -> dict[str, float]:
    async with (
        serving(route.server, bitrate) as server,
        calling(browser, server.url, route, camera=True, bitrate=BITRATE) as call,
    ):
        await asyncio.sleep(plan.warmup)
        before, used = await call.statistics(), cpu_seconds(server.pid)
        await asyncio.sleep(plan.seconds)
        after, used = await call.statistics(), cpu_seconds(server.pid) - used
    pictures = after["framesReceived"] - before["framesReceived"]
    seconds = (after["timestamp"] - before["timestamp"]) / 1000
    if not pictures:
        raise BenchmarkError(f"no pictures came from {route.server}")
    return {
        CPU: used / pictures * 1000,
        RATE: (after["bytesReceived"] - before["bytesReceived"]) * 8 / seconds / 1000,
        FPS: pictures / seconds,
    }


async def bare(kilobits: float) -> dict[str, float]:
    command = (sys.executable, "-m", "benchmarks.bare", FILM, str(round(kilobits * 1000)))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise BenchmarkError("the bare work failed; it says why above")
    milliseconds, rate = map(float, output.split())
    return {CPU: milliseconds, RATE: rate}


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, all its threads together (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(arguments: Sequence[str] | None = None) -> int:
    return main(run, Plan(rounds=5, seconds=8.0, warmup=6.0), "cost", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
