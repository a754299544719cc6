"""Whether this process has more to do than it can: so that new sessions are turned away before
those that run suffer."""

import asyncio
import logging
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from . import worker_process

logger = logging.getLogger("rtcstream")

INTERVAL = 0.1
"""Seconds between two looks."""
SMOOTHING = 2.0
"""Seconds after which what was measured counts for a third. A burst of a hundred offers (2 to 5 ms
each) must not count as overload, a second's block must."""
MAX_LAG = 0.2
"""The default bound of the event loop's lag, in seconds: a call is noticeably late from there."""
MAX_CPU = 0.95
"""The default bound of the share of the processor."""
LAG_BACK, CPU_BACK = 0.5, 0.9
"""What of a bound it must fall below until it counts as kept again."""


@dataclass(frozen=True)
class Load:
    """How much there is to do.

    ``lag`` is how late the event loop comes to what is due, in seconds; ``cpu`` what this process
    and its workers use of the machine's cores that they may use, from 0 to 1. Both are smoothed
    over about two seconds. ``refused`` counts the sessions that were turned away.
    """

    lag: float
    cpu: float
    overloaded: bool
    refused: int


class Overload:
    """Measures the running event loop and this process, inside ``async with``.

    It is overloaded from when ``max_lag`` or ``max_cpu`` is passed until both are well kept
    again; None is no bound.
    """

    def __init__(self, max_lag: float | None = MAX_LAG, max_cpu: float | None = MAX_CPU) -> None:
        self.refused = 0
        self._max_lag = math.inf if max_lag is None else max_lag
        self._max_cpu = math.inf if max_cpu is None else max_cpu
        self._lag = self._cpu = 0.0
        self._overloaded = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def overloaded(self) -> bool:
        return self._overloaded

    @property
    def state(self) -> Load:
        return Load(self._lag, self._cpu, self._overloaded, self.refused)

    @property
    def why(self) -> str:
        """What there is too much of, in words."""
        lag, cpu = round(self._lag * 1000), round(self._cpu * 100)
        return f"its event loop is {lag} ms late, and it uses {cpu} % of its processor"

    async def __aenter__(self) -> "Overload":
        self._watching = asyncio.create_task(
            self._watch(asyncio.get_running_loop().time(), processor_times())
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._watching is not None
        self._watching.cancel()
        await asyncio.wait([self._watching])

    async def _watch(self, before: float, used_before: dict[int, float]) -> None:
        loop = asyncio.get_running_loop()
        cores = available_cores()
        while True:
            due = before + INTERVAL
            await asyncio.sleep(INTERVAL)
            now, used = loop.time(), processor_times()
            # One that has just started has loaded what it needs, and that counts too.
            more = sum(seconds - used_before.get(pid, 0.0) for pid, seconds in used.items())
            self.measured(max(0.0, now - due), more / (now - before) / cores, now - before)
            before, used_before = now, used

    def measured(self, lag: float, cpu: float, seconds: float) -> None:
        """Take note of what the last ``seconds`` have been like."""
        weight = 1 - math.exp(-seconds / SMOOTHING)
        self._lag += (lag - self._lag) * weight
        self._cpu += (cpu - self._cpu) * weight
        if self._lag > self._max_lag or self._cpu > self._max_cpu:
            if not self._overloaded:
                logger.warning("overloaded: %s; new sessions are turned away", self.why)
            self._overloaded = True
        elif self._lag < self._max_lag * LAG_BACK and self._cpu < self._max_cpu * CPU_BACK:
            if self._overloaded:
                logger.warning("no longer overloaded: new sessions are let in again")
            self._overloaded = False


def processor_times() -> dict[int, float]:
    """Seconds of processor time by process: this one, and its workers."""
    return {os.getpid(): time.process_time(), **worker_process.processor_times()}


def available_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> float:
    """The cores that this process may use; a container may be given less than it can see."""
    cores: float = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux
        cores = len(os.sched_getaffinity(0))
    try:
        most, period = quota.read_text().split()
        return cores if most == "max" else min(cores, int(most) / int(period))
    except (OSError, ValueError):  # no cgroup of version 2
        return cores
