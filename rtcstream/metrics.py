"""What the sessions of a stream have done, counted; those that have ended included."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from weakref import WeakKeyDictionary

from .messages import LOAD_FAILED
from .session import MediaSession
from .shared import SharedRun
from .transport.network import network
from .transport.timeline import Timeline

REASONS = {
    "stopped by the page": "page",
    "the peer closed the connection": "peer",
    "the connection was lost": "lost",
    "nothing was heard of the peer any more": "lost",
    "it goes on in another connection": "resumed",
    "it had not connected when others came": "given_up",
    "no path for media was found in time": "no_path",
    "the offer was refused": "refused",
    "the server stopped": "server",
    "closed by the operator": "operator",
    "closed by the function": "function",
    "time_limit": "time_limit",
    "idle_timeout": "idle_timeout",
    LOAD_FAILED: LOAD_FAILED,
    "the source has stopped": "shared_run",
    "nobody watches any more": "shared_run",
}
"""What a reason that a session ended for counts as; any other, such as a function's own, is
"other": a counter must not have a label for each sentence."""

STAGE_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds up to which a stage's durations are counted apart."""


@dataclass
class Figures:
    """Of a session, a shared run, or many of them: numbers that only rise."""

    frames_in: int = 0
    frames_out: int = 0
    frames_dropped: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    packets_in: int = 0
    packets_out: int = 0
    packets_missing: int = 0
    packets_lost: int = 0
    messages_dropped: int = 0
    errors: int = 0
    hangs: int = 0

    def add(self, other: "Figures") -> None:
        """Count another's, too."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def rise(self, now: "Figures") -> None:
        """Go up to what is counted now; a packet that was only late has been counted as missing."""
        for field in fields(self):
            setattr(self, field.name, max(getattr(self, field.name), getattr(now, field.name)))


def of_session(session: MediaSession) -> Figures:
    """What a session has done so far; a member's is without what the shared run does for all."""
    wiring = session.wiring
    met = network(wiring.senders, wiring.receivers)
    _, frames_in, frames_out, bytes_out = wiring.totals()
    return Figures(
        frames_in=frames_in,
        frames_out=frames_out,
        frames_dropped=wiring.dropped(),
        bytes_in=met.bytes_received,
        bytes_out=bytes_out,
        packets_in=met.packets_received,
        packets_out=met.packets_sent,
        packets_missing=met.packets_missing,
        packets_lost=met.packets_lost,
        messages_dropped=session.messages_dropped,
        errors=session.errors,
        hangs=session.hangs,
    )


def of_run(run: SharedRun) -> Figures:
    """What a shared run has done so far, beside what its members are sent."""
    dropped = 0 if run.worker is None else run.worker.dropped
    return Figures(frames_dropped=dropped, errors=run.errors, hangs=run.hangs)


class Histogram:
    """How often a duration in seconds was at most each of ``STAGE_BOUNDS``, or longer than all."""

    def __init__(self) -> None:
        self.counts = [0] * (len(STAGE_BOUNDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(STAGE_BOUNDS, seconds)] += 1
        self.sum += seconds


class Ledger:
    """A stream's account: its live sessions are looked at from time to time, and once more as they
    end; nothing is counted where frames pass. Belongs to the event loop."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: Counter[str] = Counter()
        """By what ``REASONS`` has for it."""
        self.stages: dict[str, Histogram] = {}
        self._ended = Figures()
        self._open: dict[MediaSession | SharedRun, Figures] = {}
        self._seen: WeakKeyDictionary[Timeline, int] = WeakKeyDictionary()

    def open(self, session: MediaSession) -> None:
        """A session begins."""
        self.opened += 1
        self._open[session] = Figures()

    def close(self, session: MediaSession, reason: str) -> None:
        """A session has ended."""
        self.closed[REASONS.get(reason, "other")] += 1
        self.look([session], None)
        self._ended.add(self._open.pop(session))

    def look(self, sessions: Iterable[MediaSession], run: SharedRun | None) -> None:
        """Take down what these have done so far, and the stages of the pictures that they sent
        since the last look."""
        for session in sessions:
            if session in self._open:  # or else all of it has been taken down
                self._note(session, of_session(session), session.wiring.timeline)
        if run is not None:
            self._note(run, of_run(run), run.broadcast.timeline)

    def close_run(self, run: SharedRun) -> None:
        """The shared run is over."""
        self.look([], run)
        self._ended.add(self._open.pop(run))

    def total(self) -> Figures:
        """All sessions', live and ended, as of the last look."""
        total = Figures()
        total.add(self._ended)
        for figures in self._open.values():
            total.add(figures)
        return total

    def _note(self, source: MediaSession | SharedRun, now: Figures, timeline: Timeline) -> None:
        self._open.setdefault(source, Figures()).rise(now)
        self._seen[timeline], durations = timeline.since(self._seen.get(timeline, 0))
        for stage, seconds in durations:
            self.stages.setdefault(stage, Histogram()).observe(seconds)
