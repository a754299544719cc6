"""A server as its operator sees it: all its sessions, its load, and how it stops."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from . import messages
from .negotiator import Sessions
from .overload import Overload
from .session import MediaSession

logger = logging.getLogger("rtcstream")

INTERVAL = 2.0
"""Seconds between two samples of the history."""
SAMPLES = 300
"""How many are kept: ten minutes."""
AT_ONCE = 8
"""Sessions that are looked at together: a millisecond's work, of 30 pictures a second each."""


@dataclass(frozen=True)
class Sample:
    """One moment: ``at`` in seconds of UNIX time, ``fps`` of all pictures that left, ``lag`` in
    seconds, ``cpu`` from 0 to 1."""

    at: float
    sessions: int
    fps: float
    lag: float
    cpu: float


@dataclass(frozen=True)
class Reading:
    """A number of the whole server for its metrics, read when they are asked for.

    ``name`` is without the prefix ``rtcstream_``, ``text`` says what it is and its unit; ``rises``
    is for counters, which never fall.
    """

    name: str
    text: str
    read: Callable[[], float]
    rises: bool = False


class Operations:
    """Knows the sessions of every stream that a server has, however it is mounted.

    Streams ``register`` when the application starts that they are mounted in. Belongs to the event
    loop; ``run`` it while the server is up. What else the server has to tell goes into
    ``readings``, and whatever turns visitors away for a while into ``obstacles``: functions that
    say why, or "" while nothing is in the way.
    """

    def __init__(self, overload: Overload) -> None:
        self.streams: dict[str, Sessions] = {}
        self.started = time.time()
        self.stopping = False
        """Whether no more sessions are admitted."""
        self.answers: Counter[int] = Counter()
        """HTTP answers so far, by their status."""
        self.overload = overload
        self.readings = [
            Reading("ready", "Whether visitors should be sent here (1) or not", self._ready),
            Reading(
                "event_loop_lag_seconds",
                "By how much the event loop comes late, smoothed over two seconds",
                lambda: overload.state.lag,
            ),
            Reading(
                "cpu_share",
                "What this process uses of the cores that it may use, from 0 to 1",
                lambda: overload.state.cpu,
            ),
            Reading("overloaded", "Whether there is too much to do (1)", self._overloaded),
            Reading(
                "sessions_refused_total",
                "Sessions that were turned away while there was too much to do",
                lambda: overload.refused,
                rises=True,
            ),
            Reading("queue", "Visitors who wait for their turn", self._waiting),
            Reading(
                "worker_deaths_total",
                "Worker processes that died with a function's call in them",
                lambda: sum(each.runner.faults.worker_deaths for each in self.streams.values()),
                rises=True,
            ),
        ]
        self.obstacles: list[Callable[[], str]] = [
            lambda: "The server is stopping." if self.stopping else "",
            self._loading,
            lambda: f"The server is busy: {overload.why}." if overload.overloaded else "",
        ]
        self._history: deque[Sample] = deque(maxlen=SAMPLES)

    def register(self, sessions: Sessions) -> None:
        """Count a stream's sessions among those of the server."""
        name, number = sessions.name, 2
        while name in self.streams:  # the same function twice, at two paths
            name, number = f"{sessions.name}_{number}", number + 1
        self.streams[name] = sessions

    def obstacle(self) -> str:
        """Why no session would be admitted now, in a sentence; "" if it would."""
        return next(filter(None, (why() for why in self.obstacles)), "")

    def _loading(self) -> str:
        loading = [name for name, each in self.streams.items() if not each.runner.loaded]
        return f"Not loaded yet: {', '.join(loading)}." if loading else ""

    def _ready(self) -> float:
        return float(not self.obstacle())

    def _overloaded(self) -> float:
        return float(self.overload.overloaded)

    def _waiting(self) -> float:
        lines = {each.door.admission for each in self.streams.values()}
        return float(sum(line.state.waiting for line in lines))

    def sessions(self) -> list[tuple[str, MediaSession]]:
        """Every session that has not ended, after the name of its stream."""
        return [(name, each) for name, found in self.streams.items() for each in found.live()]

    async def drain(self, timeout: float) -> None:
        """Admit no more sessions, tell the pages, and wait until all have ended, for ``timeout``
        seconds at most."""
        self.stopping = True
        for found in self.streams.values():
            found.refuse_more()
        left = [session for _, session in self.sessions()]
        if not timeout or not left:
            return
        logger.warning(
            "stopping: %d sessions may go on for %g s; a second signal ends them",
            len(left),
            timeout,
        )
        text = f"the server is about to stop: this session ends in {timeout:g} seconds at most"
        for session in left:
            session.post(messages.Log("warning", text))
        ends = [asyncio.ensure_future(session.closed.wait()) for session in left]
        try:
            await asyncio.wait(ends, timeout=timeout)
        finally:
            for end in ends:
                end.cancel()

    async def run(self) -> None:
        """Take a sample every ``INTERVAL`` seconds, until it is cancelled."""
        had, before = self._frames_out(), time.monotonic()
        while True:
            await asyncio.sleep(INTERVAL)
            await self.look()
            frames, now = self._frames_out(), time.monotonic()
            fps = (frames - had) / (now - before)
            had, before = frames, now
            count, load = len(self.sessions()), self.overload.state
            self._history.append(Sample(time.time(), count, fps, load.lag, load.cpu))

    async def look(self) -> None:
        """Bring the ledgers of all streams up to date, a few sessions at a time: media go on
        meanwhile."""
        for found in list(self.streams.values()):
            live = found.live()
            for start in range(0, len(live), AT_ONCE):
                found.ledger.look(live[start : start + AT_ONCE], None)
                await asyncio.sleep(0)
            found.look_at_run()

    def _frames_out(self) -> int:
        return sum(sessions.ledger.total().frames_out for sessions in self.streams.values())

    def history(self, since: float = 0.0) -> list[Sample]:
        """The samples after a moment, oldest first; of the last ten minutes."""
        return [sample for sample in self._history if sample.at > since]


serving: ContextVar[Operations | None] = ContextVar("serving", default=None)
"""The server whose application starts, for the streams that are mounted in it."""
