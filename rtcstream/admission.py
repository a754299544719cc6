"""Who may begin a session, and who waits for it in what order."""

import asyncio
import functools
import heapq
import secrets
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet, WeakValueDictionary

from .resuming import Keeper

TICKET_SECONDS = 15.0
"""How long a ticket is good for: the visitor may have to allow the camera first."""
GRACE_SECONDS = 3.0
"""How long it is good for once its place has been given up."""
MOST_WAITING = 100
"""Places in a line and tickets that have yet to be used; who comes then is told to come back later.
"""
ONE_BY_ONE = 0.5
"""Seconds between two who are let in when there has been too much to do."""
REMEMBERED = 50
"""Sessions whose lengths the estimates are made from: the last ones."""


class Refused(Exception):
    """There is no room, or not even a place in the line.

    ``retry_after`` is in how many seconds there may be, None while that cannot be told.
    """

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Timer(Protocol):
    """What ``call_later`` gives."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...


@dataclass(frozen=True)
class AdmissionState:
    """How full it is: sessions that run, tickets that have yet to be used, places in the line.

    ``limit`` is None where there is none.
    """

    limit: int | None
    running: int
    tickets: int
    waiting: int


class Slot:
    """The room of one session, held from before it is negotiated until it is released.

    ``used`` counts the seconds of the time limit that it has had, in this session and in those that
    it was passed on from; ``tries`` how many of these in a row never connected.
    """

    def __init__(
        self, admission: "Admission", since: float, used: float = 0.0, tries: int = 0
    ) -> None:
        self.since = since
        self.used = used
        self.tries = tries
        self._admission = admission

    def release(self, ran: bool = False) -> None:
        """Make room for the next, once however often called; ``ran``: there was a session, from
        whose length estimates may be made."""
        self._admission._release(self, ran)

    def pass_on(self, used: float, connected: bool) -> "Slot":
        """The same room for a session that goes on in place of one that had it, and ``used`` so
        many seconds; releasing this one does nothing any more."""
        return self._admission._pass_on(self, used, connected)


class Place:
    """A place in the line, until ``over``: then its ticket has been used, or has been too late.

    ``changed`` is called when any of it changes.
    """

    def __init__(
        self, admission: "Admission", changed: Callable[[], object], held: Callable[[], bool]
    ) -> None:
        self.ticket: str | None = None
        self.over = False
        self.changed = changed
        self.held = held
        self.expiry: Timer | None = None
        self._admission = admission

    @property
    def position(self) -> int:
        """From 1; 0 once there is a ticket."""
        return self._admission._position(self)

    @property
    def estimate(self) -> float | None:
        """Seconds until its turn, None while that cannot be told."""
        return self._admission.estimate(self.position)

    def look(self) -> None:
        """See whether its turn has come, where what held it up does not say when it has passed."""
        self._admission._advance()

    def leave(self, grace: bool = False) -> None:
        """Give the place up; a ticket too, at once or, with ``grace``, if it is not used soon."""
        self._admission._leave(self, grace)


class Admission:
    """At most ``limit`` sessions at once (None: any number), and a line of those who wait.

    The first in the line gets a ticket when there is room, which is kept for it as long as the
    ticket is good; a ticket that is not used gives way to the next in line. Nobody passes the
    line. Those who waited because they were ``held`` are let in one by one.

    All of it belongs to one event loop, which is the ``clock`` unless another is given.
    """

    def __init__(self, limit: int | None = None, clock: Clock | None = None) -> None:
        self.limit = limit
        self.keepers: WeakSet[Keeper] = WeakSet()
        """Of the streams that share it."""
        self._given_clock = clock
        self._running: set[Slot] = set()
        self._tickets: dict[str, Place] = {}
        self._line: deque[Place] = deque()
        self._lengths: deque[float] = deque(maxlen=REMEMBERED)
        self._held_at: float | None = None

    @property
    def state(self) -> AdmissionState:
        return AdmissionState(self.limit, len(self._running), len(self._tickets), len(self._line))

    def admit(self, ticket: str | None = None, held: bool = False) -> Slot:
        """The room for a session: with a ticket, or when nobody waits and there is some.

        ``held``: no more than the tickets that are out may begin for now. Raises Refused.
        """
        place = None if ticket is None else self._tickets.pop(ticket, None)
        if place is not None:
            self._end(place)
        elif held or self._line or not self._has_room:
            if ticket is not None:
                raise Refused("the ticket is not, or no longer, good", self._next_estimate)
            raise Refused("there is no room now", self._next_estimate)
        slot = Slot(self, self._clock.time())
        self._running.add(slot)
        self._advance()
        return slot

    def join(
        self,
        changed: Callable[[], object] = lambda: None,
        held: Callable[[], bool] = lambda: False,
    ) -> Place:
        """A place at the end of the line, whose turn has come at once if nobody waits.

        While ``held()``, the place waits though there is room. Raises Refused when too many wait.
        """
        if len(self._line) + len(self._tickets) >= MOST_WAITING:
            raise Refused(f"{MOST_WAITING} wait already", self._next_estimate)
        place = Place(self, changed, held)
        self._line.append(place)
        self._advance()
        return place

    def estimate(self, position: int) -> float | None:
        """Seconds until the turn of a position in the line, from how long sessions have lasted.

        None while none has ended, or where there is no limit that they would wait for.
        """
        if self.limit is None or not self._lengths:
            return None
        now, usual = self._clock.time(), statistics.median(self._lengths)
        ends = [self._remaining(now - slot.since, usual) for slot in self._running]
        ends += [usual] * len(self._tickets)
        ends += [0.0] * (self.limit - len(ends))
        heapq.heapify(ends)
        for _ in range(position - 1):  # each who is before it takes the next room that is free
            heapq.heapreplace(ends, ends[0] + usual)
        return ends[0]

    def _remaining(self, elapsed: float, usual: float) -> float:
        """How long a session goes on: as long as those that have lasted longer did."""
        longer = [length for length in self._lengths if length > elapsed]
        return statistics.median(longer) - elapsed if longer else usual

    @property
    def _next_estimate(self) -> float | None:
        return self.estimate(len(self._line) + 1)

    @property
    def _clock(self) -> Clock:
        return self._given_clock or asyncio.get_running_loop()

    @property
    def room(self) -> int | None:
        """How many more sessions there may be; None if any number."""
        return None if self.limit is None else max(0, self.limit - len(self._running))

    @property
    def _has_room(self) -> bool:
        return self.limit is None or len(self._running) + len(self._tickets) < self.limit

    def _advance(self) -> None:
        """Give tickets to those whose turn has come."""
        before = len(self._line)
        while self._line and self._has_room and not self._is_held(self._line[0]):
            place = self._line.popleft()
            place.ticket = secrets.token_urlsafe(18)
            self._tickets[place.ticket] = place
            self._expire_in(place, TICKET_SECONDS)
            place.changed()
        if not self._line:
            self._held_at = None
        if len(self._line) < before:
            self._tell_all()

    def _is_held(self, place: Place) -> bool:
        """Whether there is too much to do, or was just now: those who waited for that to end are
        let in one by one, or else it would be too much at once again."""
        now = self._clock.time()
        held = place.held()
        if held or (self._held_at is not None and now - self._held_at >= ONE_BY_ONE):
            self._held_at = now
            return held
        return self._held_at is not None

    def _expire_in(self, place: Place, seconds: float) -> None:
        if place.expiry is not None:
            place.expiry.cancel()
        place.expiry = self._clock.call_later(seconds, functools.partial(self._leave, place))

    def _leave(self, place: Place, grace: bool = False) -> None:
        if place.over:
            return
        if place.ticket is None:
            self._line.remove(place)
        elif grace:
            self._expire_in(place, GRACE_SECONDS)
            return
        else:
            del self._tickets[place.ticket]
        self._end(place)
        self._advance()
        self._tell_all()

    def _end(self, place: Place) -> None:
        place.over = True
        if place.expiry is not None:
            place.expiry.cancel()
        place.changed()

    def _pass_on(self, slot: Slot, used: float, connected: bool) -> Slot:
        if slot not in self._running:
            return slot
        self._running.remove(slot)
        tries = 0 if connected else slot.tries + 1
        following = Slot(self, slot.since, slot.used + used, tries)
        self._running.add(following)
        return following

    def _release(self, slot: Slot, ran: bool) -> None:
        if slot not in self._running:
            return
        self._running.remove(slot)
        if ran:
            self._lengths.append(self._clock.time() - slot.since)
        self._advance()
        self._tell_all()

    def _position(self, place: Place) -> int:
        return 0 if place.ticket is not None or place.over else self._line.index(place) + 1

    def _tell_all(self) -> None:
        for place in tuple(self._line):
            place.changed()


_by_id: WeakValueDictionary[str, Admission] = WeakValueDictionary()


def admission_of(limit: int | None, concurrency_id: str | None) -> Admission:
    """An admission of its own, or the one that all streams with this id share in this process.

    Raises ValueError when another of them has a different limit.
    """
    if concurrency_id is None:
        return Admission(limit)
    admission = _by_id.get(concurrency_id)
    if admission is None:
        admission = _by_id[concurrency_id] = Admission(limit)
    elif admission.limit != limit:
        raise ValueError(
            f"concurrency_limit must be {admission.limit}, not {limit}: another stream of "
            f"concurrency_id={concurrency_id!r} has that, and they share one"
        )
    return admission
