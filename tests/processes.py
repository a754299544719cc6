"""Streams whose functions run in worker processes, and what of those is left."""

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtcstream import Stream, testing
from tests.pictures import scene


def isolate(function: Any, **options: Any) -> Stream:
    return Stream(function, isolation="process", **options)


def gone(pid: int) -> bool:
    """Whether a process has ended, and nobody has to reap it."""
    return not Path(f"/proc/{pid}").exists()


async def pid_of(peer: testing.TestPeer) -> int:
    peer.send(scene())
    return int(await peer.result())


def tone(level: float, seconds: float = 0.4) -> NDArray[np.float32]:
    """440 Hz of this amplitude, in whole periods, on both sides."""
    times = np.arange(round(seconds * 48_000)) / 48_000
    return np.asarray(level * np.sin(2 * np.pi * 440 * times), np.float32)[None].repeat(2, 0)


async def heard_at(peer: testing.TestPeer, level: float, clip: Any = None) -> None:
    """Wait until sound of this amplitude is heard, saying ``clip`` meanwhile."""
    async with asyncio.timeout(10):
        while True:
            if clip is not None:
                peer.send_sound(clip)
            heard = await peer.hear(0.1)
            if abs(float(heard.max()) - level) < 0.2 * level:
                return


async def pid_of_the_next(peer: testing.TestPeer) -> int:
    """Send pictures as a camera does, until one has been answered."""
    async with asyncio.timeout(10):
        while True:
            peer.send(scene())
            for message in peer.messages:
                if message["type"] == "result":
                    peer.messages.remove(message)
                    return int(message["data"])
            await asyncio.sleep(0.03)


def children() -> list[str]:
    """This process's worker processes."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            ppid = status.read_text().rpartition(")")[2].split()[1]
            if (
                ppid == str(os.getpid())
                and b"rtcstream.child" in status.with_name("cmdline").read_bytes()
            ):
                found.append(status.parent.name)
        except OSError:
            continue
    return found
