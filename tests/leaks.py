"""What a piece of code leaves behind: asyncio tasks, threads, open file descriptors."""

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

EXECUTORS = ("asyncio_", "uvloop_")


@dataclass(frozen=True)
class Holdings:
    tasks: frozenset[asyncio.Task[Any]]
    threads: frozenset[threading.Thread]
    descriptors: frozenset[str]

    @classmethod
    def count(cls) -> "Holdings":
        gc.collect()  # aiortc's peer connections are cycles: only the collector frees them
        return cls(
            frozenset(asyncio.all_tasks()),
            # The event loop's own executor keeps its threads for the next call.
            frozenset(t for t in threading.enumerate() if not t.name.startswith(EXECUTORS)),
            frozenset(_descriptors()),
        )

    def beyond(self, before: "Holdings") -> list[str]:
        """A line for each thing that was not there before, where there are more than before."""
        lines: list[str] = []
        for kind in ("tasks", "threads", "descriptors"):
            now, then = getattr(self, kind), getattr(before, kind)
            if len(now) > len(then):
                lines += [f"{kind}: {thing}" for thing in now - then]
        return lines


@contextlib.asynccontextmanager
async def no_leaks(*, within: float = 5.0) -> AsyncIterator[None]:
    """Fails if the body leaves anything behind that is still there after `within` seconds.

    What is made once and kept (codec tables, executors, a browser) is made before the body.
    """
    before = Holdings.count()
    yield
    deadline = asyncio.get_running_loop().time() + within
    while left := Holdings.count().beyond(before):
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail("left behind:\n  " + "\n  ".join(left))
        await asyncio.sleep(0.05)


def _descriptors() -> list[str]:
    found = []
    for number in os.listdir("/dev/fd"):
        # The listing's own descriptor is gone by now; macOS has names that are no links.
        with contextlib.suppress(OSError):
            found.append(f"{number} {os.readlink(f'/dev/fd/{number}')}")
    return found
