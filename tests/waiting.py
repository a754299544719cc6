"""Waiting for what has no event, and for generators."""

import asyncio
from collections.abc import Callable
from typing import Any

from rtcstream.generators import GeneratorRuns
from rtcstream.testing import TestPeer


async def until(condition: Callable[[], Any]) -> None:
    """Return as soon as the condition holds; fail after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def named(value: object) -> str:
    """A parameter's name in a test's, where its text has its address, or would be too long."""
    return getattr(value, "__name__", None) or (
        value if isinstance(value, str) else type(value).__name__
    )


def runs_of(peer: TestPeer) -> GeneratorRuns:
    """The one generator of a session."""
    assert peer.session is not None
    [worker] = peer.session._wiring.workers
    assert isinstance(worker, GeneratorRuns)
    return worker


async def finished(peer: TestPeer) -> None:
    """Wait until a generator has ended, and all of it was played."""
    await peer.message("state", value="finished")
