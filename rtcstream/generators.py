"""A generator on its session's worker thread: pulled as it is played, started anew on changes."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, TypeAlias

from .calls import AnyCall
from .chunks import ChunkPlayer
from .controls import Values
from .errors import ResultError
from .faults import WorkerLost
from .messages import StateValue
from .outcomes import Outcome, Results
from .playout import Performance, Playout, Tell
from .takes import Recording, VideoRecording
from .transport.slot import Closed, Superseded
from .transport.sound import Sound
from .worker import Listener, Worker

DEBOUNCE = 0.15
"""Seconds without a change that a restart waits for: one typed word is one restart."""
MOST_DEBOUNCE = 1.0
"""Seconds that changes without a pause hold a restart off, at most."""
MOST_BESIDE = 1000
"""Results that wait for the sound of their chunks: FFmpeg reads ahead to find out what it gets."""

Items: TypeAlias = Iterator[Outcome | ResultError]


class GeneratorRuns(Worker):
    """Runs the generator with the newest values, from the start whenever they change.

    One run at a time: the old one is closed at its next yield, then the new one begins. ``run``
    counts them, from 1. A function that takes a recording or a turn of speech runs once for each
    that is ``given``, with it.
    """

    BURST, RATE = 64, 120
    """Results that go at once, and then a second: results alone have no other pace."""
    CHUNK = 1 / 32
    """What a chunk counts for: most are paced by being played, but not one that is skipped."""

    def __init__(self, call: AnyCall, values: Values, playout: Playout, listener: Listener) -> None:
        super().__init__(call, values, listener)
        self.run = 0
        self._playout = playout
        self._performance = playout.begin()
        self._changed = threading.Event()
        self._wanted_at: float | None = 0.0 if call.signature.take_in is None else None
        self._wished_at = 0.0
        self._given: Recording | VideoRecording | None = None
        self._taken: Recording | VideoRecording | None = None
        self._superseded = False
        self._lock = threading.Lock()
        self._tokens = float(self.BURST)
        self._filled = time.monotonic()
        self._playing = False
        self._since: float | None = None
        """When the run began, or was told to end."""
        self._yielded = False
        take = call.signature.take_in
        turn = None if take is None else take.turn
        self._rest: StateValue = "listening" if turn else "finished"
        self._patient = turn is not None and not turn.interrupt

    def restart(self, debounce: float = DEBOUNCE) -> None:
        """Supersede the run, and begin the next one after ``debounce`` quiet seconds."""
        if self.call.signature.take_in is None:
            now = time.monotonic()
            if self._wanted_at is None or self._wanted_at == 0.0:
                self._wished_at = now
            self._supersede(min(now + debounce, max(self._wished_at + MOST_DEBOUNCE, now)))

    def give(self, take: Recording | VideoRecording) -> None:
        """Supersede the run, and begin the next one with this recording or turn; where turns do
        not interrupt, the run plays to its end first."""
        with self._lock:
            unused, self._given = self._given, take
            if self._stopping.is_set():
                unused, self._given = take, None
        if unused is not None:
            unused.delete()
        self._supersede(0.0, at_once=not self._patient)

    def tap(self, heard: Callable[[Sound], None]) -> None:
        """Have each frame of sound told as it is sent: s16, shape (960, 2), silence too."""
        self._playout.sound.on_sound = heard

    def hold(self) -> None:
        """Let the run that plays fall silent, and keep what it has yet to play."""
        if self._playing:
            self._playout.hold()

    def go_on(self) -> None:
        """It was no turn of speech: what was held plays on."""
        with self._lock:
            playing = self._playing and not self._superseded
            self._listener.on_state("thinking" if playing else self._rest)
            self._playout.go_on()

    def interrupt(self) -> None:
        """End the run that plays: its generator is closed, and what is yet to be heard dropped."""
        with self._lock:
            if self._playing:
                # What has been given already is answered, whatever becomes of the run before it.
                self._end_run(float("inf") if self._given is None else 0.0)

    @property
    def played(self) -> float:
        return self._performance.played

    @property
    def has_begun(self) -> bool:
        return bool(self.durations) or (self.calls > 0 and not self._playing)

    @property
    def _stuck_since(self) -> float | None:
        # A generator may take its time, but not before its first yield, nor to end; nor may what
        # runs yet of the session that it goes on for.
        if not self.run and not self.call.opened:
            return self.busy_since
        return self._since if self._superseded or not self._yielded else None

    def _stuck_how(self, seconds: float) -> str:
        if self._superseded:
            return (
                f"has not ended {seconds:g} seconds after it was told to; "
                "the next run begins when it does"
            )
        return f"has yielded nothing for {seconds:g} seconds"

    def _supersede(self, wanted_at: float, at_once: bool = True) -> None:
        with self._lock:
            if at_once:
                self._end_run(wanted_at)
            else:
                self._wanted_at = wanted_at
                self._changed.set()

    def _end_run(self, wanted_at: float) -> None:
        """What ``_supersede`` does at once, under its lock."""
        self._wanted_at = wanted_at
        self._superseded = True
        if self._since is not None:
            self._since = time.monotonic()
        self._playout.begin()  # from here on nothing of the old run is taken
        self.call.interrupt()
        self._changed.set()

    def _wake(self) -> None:
        self._changed.set()
        self._playout.close()
        with self._lock:
            unused, self._given = self._given, None
        if unused is not None:
            unused.delete()

    def _serve(self) -> None:
        if self._rest == "listening":
            self._listener.on_state("listening")
        while True:
            self._await_turn()
            self.run += 1
            self.calls += 1
            self._playing = True
            turn = self.call.signature.take_in is not None
            self._listener.on_state("thinking" if turn else "running")
            with self._guarded(timed=False) as done:
                self._play()
            if done:
                self._await_end()
            with self._lock:
                self._playing = False
                if not self._superseded:
                    self._listener.on_state(self._rest)

    def _await_turn(self) -> None:
        """Wait until a run is wanted, and its values have been quiet for a while. Raises Closed."""
        while True:
            self._changed.clear()  # first: what comes from here on is seen below, or ends the wait
            if self._stopping.is_set():
                raise Closed
            with self._lock:
                wait = None if self._wanted_at is None else self._wanted_at - time.monotonic()
                if wait is not None and wait <= 0:
                    self._wanted_at, self._superseded = None, False
                    self.call.resume()
                    self._taken, self._given = self._given, None
                    self._performance = self._playout.begin()
                    return
            self._changed.wait(None if wait == float("inf") else wait)

    def _play(self) -> None:
        take = self._taken
        generator = self.call.generate(take, self._snapshot())
        self._since, self._yielded = time.monotonic(), False
        try:
            items = self._timed(generator)
            if (chunk := self.call.signature.out.chunk) is not None:
                beside = _Beside(self._performance)
                player = ChunkPlayer(self._performance, self._report, chunk.kind, beside.reach)
                player.play(self._chunks(items, beside))
            else:
                for outcome in items:
                    self._take(outcome)
        except (Superseded, Closed):
            pass
        except WorkerLost:  # which is no end of its own
            self.restart(debounce=0.0)
            raise
        except (asyncio.CancelledError, futures.CancelledError):
            if not self._superseded:  # or else it is we who cancelled it
                raise
        finally:
            try:
                generator.close()
            finally:
                self._since = None
                if take is not None:
                    take.delete()

    def _take(self, item: Outcome | ResultError) -> None:
        self._check()
        if isinstance(item, ResultError):
            self._report(item)
            return
        self._performance.give(item.picture, item.sound, self._tell(item.results))
        if item.picture is None and (item.sound is None or not len(item.sound)):
            self._limit()

    def _tell(self, results: Results) -> Tell | None:
        """What tells these results, as this run's."""
        if not results:
            return None
        run = self.run
        return lambda pts: self._listener.on_results(results, pts, run)

    def _timed(self, generator: Items) -> Items:
        """What the generator yields; notes how long each took to come."""
        while True:
            asked = time.monotonic()
            item = next(generator, None)
            if item is None:
                return
            self._yielded = True
            self.durations.append(time.monotonic() - asked)
            yield item

    def _chunks(self, items: Items, beside: "_Beside") -> Callable[[], Any]:
        def following() -> Any:
            """The next chunk, or None at the end."""
            for item in items:
                self._check()
                self._limit(self.CHUNK)
                if isinstance(item, ResultError):
                    self._report(item)
                    continue
                beside.add(self._tell(item.results), item.chunk is not None)
                if item.chunk is not None:
                    return item.chunk
            return None

        return following

    def _report(self, error: ResultError) -> None:
        self._listener.on_raised(self.call, error)
        self._limit()  # nonsense without a pause must not spin

    def _check(self) -> None:
        """Raises Closed when the session ends, Superseded when the values have changed."""
        if self._stopping.is_set():
            raise Closed
        if self._superseded:
            raise Superseded

    def _limit(self, cost: float = 1.0) -> None:
        """A token bucket for what has no pace of its own."""
        now = time.monotonic()
        self._tokens = min(self.BURST, self._tokens + (now - self._filled) * self.RATE)
        self._filled = now
        self._tokens -= cost
        if self._tokens < 0 and self._stopping.wait(-self._tokens / self.RATE):
            raise Closed

    def _await_end(self) -> None:
        """Wait until all has been played, or the run is superseded."""
        while (seconds := self._performance.pending) > 0 and not self._superseded:
            if self._stopping.wait(min(seconds, 0.1)):
                raise Closed


class _Beside:
    """Results that came beside chunks, each told when the sound of its chunk begins."""

    def __init__(self, performance: Performance) -> None:
        self._performance = performance
        self._chunks = 0
        self._waiting: deque[tuple[int, Tell]] = deque()

    def add(self, tell: Tell | None, has_chunk: bool) -> None:
        """What came with the next chunk, or before it."""
        if tell is not None:
            if len(self._waiting) >= MOST_BESIDE:
                self._performance.tell(self._waiting.popleft()[1], self._performance.end)
            self._waiting.append((self._chunks + 1, tell))
        self._chunks += has_chunk

    def reach(self, number: int, position: int) -> None:
        """The chunk of this number, from 1, plays at this position."""
        while self._waiting and self._waiting[0][0] <= number:
            self._performance.tell(self._waiting.popleft()[1], position)
