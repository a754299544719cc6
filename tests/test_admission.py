"""Who may begin a session, and who waits in what order: by a clock of the test's own."""

import gc
import heapq
import itertools
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtcstream.admission import (
    GRACE_SECONDS,
    MOST_WAITING,
    ONE_BY_ONE,
    TICKET_SECONDS,
    Admission,
    Place,
    Refused,
    Slot,
    admission_of,
)


class FakeTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self.now + delay, next(self._count), timer))
        return timer

    def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            self.now, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()
        self.now = until

    @property
    def pending(self) -> int:
        return sum(timer.callback is not None for _, _, timer in self._timers)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_room_that_is_passed_on(clock: FakeClock) -> None:
    """A room that is passed on is still one, of the same length, and released by the last alone."""
    admission = Admission(1, clock)
    first = admission.admit()
    clock.pass_by(5)
    second = first.pass_on(4.0, connected=True)
    third = second.pass_on(3.0, connected=False)
    assert (third.since, third.used, third.tries) == (first.since, 7.0, 1)
    assert second.tries == 0
    first.release()
    second.release()
    assert admission.state.running == 1 and admission.room == 0
    third.release()
    assert admission.state.running == 0 and admission.room == 1
    assert third.pass_on(1.0, connected=False) is third, "there is nothing to pass on any more"
    assert admission.state.running == 0


def test_unused_tickets_count_as_waiting(clock: FakeClock) -> None:
    """Tickets cannot be hoarded where nothing else limits them."""
    admission = Admission(None, clock)
    for _ in range(MOST_WAITING):
        assert admission.join().ticket
    with pytest.raises(Refused):
        admission.join()
    clock.pass_by(TICKET_SECONDS)
    assert admission.join().ticket


def test_the_limit_holds(clock: FakeClock) -> None:
    """So many are let in at once, and one more for each that leaves."""
    admission = Admission(2, clock)
    first, _ = admission.admit(), admission.admit()
    with pytest.raises(Refused):
        admission.admit()
    first.release()
    first.release()  # once, however often
    admission.admit()
    with pytest.raises(Refused):
        admission.admit()


def test_first_come_first_served(clock: FakeClock) -> None:
    """The first in line gets the ticket; nobody passes the line; a ticket is good once."""
    admission = Admission(1, clock)
    slot = admission.admit()
    first, second = admission.join(), admission.join()
    assert (first.position, second.position) == (1, 2)
    slot.release()
    assert (first.position, second.position) == (0, 1)
    assert first.ticket is not None and second.ticket is None
    with pytest.raises(Refused):
        admission.admit()  # the room is kept for the ticket
    with pytest.raises(Refused):
        admission.admit("made up")
    slot = admission.admit(first.ticket)
    assert first.over
    with pytest.raises(Refused, match="no longer"):
        admission.admit(first.ticket)
    slot.release()
    assert second.ticket is not None
    assert clock.pending == 1, "the timer of the one ticket that is out"


def test_nobody_waits(clock: FakeClock) -> None:
    """Where there is room and no line, a ticket comes at once."""
    place = Admission(1, clock).join()
    assert place.ticket is not None and place.position == 0


def test_unused_ticket_gives_way(clock: FakeClock) -> None:
    """A ticket that is not used in time goes to the next in line."""
    admission = Admission(1, clock)
    first, second = admission.join(), admission.join()
    clock.pass_by(TICKET_SECONDS - 1)
    assert not first.over and second.ticket is None
    clock.pass_by(2)
    assert first.over and second.ticket is not None
    with pytest.raises(Refused):
        admission.admit(first.ticket)
    admission.admit(second.ticket)


def test_leaving(clock: FakeClock) -> None:
    """Who leaves gives way at once, in the line and with a ticket; those behind are told."""
    admission = Admission(1, clock)
    told: list[str] = []
    first = admission.join()
    second, third = admission.join(), admission.join(lambda: told.append("third"))
    second.leave()
    assert second.over and third.position == 1 and told
    first.leave()
    assert third.ticket is not None
    assert clock.pending == 1


def test_ticket_outlives_its_place_for_a_moment(clock: FakeClock) -> None:
    """A client that has read its ticket may close the line, if it uses the ticket soon."""
    admission = Admission(1, clock)
    first, second = admission.join(), admission.join()
    first.leave(grace=True)
    clock.pass_by(GRACE_SECONDS / 2)
    admission.admit(first.ticket).release()
    second.leave(grace=True)
    clock.pass_by(GRACE_SECONDS + 1)
    assert second.over and clock.pending == 0


def test_line_is_bounded(clock: FakeClock) -> None:
    """Too many in line, and who comes next is refused a place."""
    admission = Admission(1, clock)
    admission.admit()
    for _ in range(MOST_WAITING):
        admission.join()
    with pytest.raises(Refused, match=f"{MOST_WAITING} wait already"):
        admission.join()


def test_estimates_from_how_long_sessions_last(clock: FakeClock) -> None:
    """Unknown until a session has ended; then by the usual length, from when each began."""
    admission = Admission(1, clock)
    slot = admission.admit()
    place = admission.join()
    assert place.estimate is None
    place.leave()
    clock.pass_by(60)
    slot.release(ran=True)

    admission.admit()
    clock.pass_by(20)
    places = [admission.join() for _ in range(3)]
    assert [place.estimate for place in places] == [40, 100, 160]
    with pytest.raises(Refused) as refusal:
        admission.admit()
    assert refusal.value.retry_after == 220
    clock.pass_by(50)  # it has lasted longer than any before
    assert places[0].estimate == 60


def test_estimates_of_several_at_once(clock: FakeClock) -> None:
    """With two rooms the line moves twice as fast; failed offers tell nothing of lengths."""
    admission = Admission(2, clock)
    slot = admission.admit()
    admission.admit().release()
    clock.pass_by(30)
    slot.release(ran=True)
    admission.admit()
    clock.pass_by(10)
    admission.admit()
    places = [admission.join() for _ in range(3)]
    assert [place.estimate for place in places] == [20, 30, 50]


def test_held_places_wait(clock: FakeClock) -> None:
    """While there is too much to do nobody is let in; then one by one."""
    admission = Admission(None, clock)
    busy = True
    places = [admission.join(held=lambda: busy) for _ in range(3)]
    with pytest.raises(Refused):
        admission.admit(held=True)
    assert [place.position for place in places] == [1, 2, 3]
    busy = False
    for expected in [[1, 2, 3], [0, 1, 2], [0, 0, 1], [0, 0, 0]]:
        for place in places:
            place.look()
        assert [place.position for place in places] == expected
        clock.pass_by(ONE_BY_ONE)
    assert places[1].estimate is None
    admission.admit()


def test_line_without_a_limit_holds_nobody_up(clock: FakeClock) -> None:
    """Where there is no limit a ticket that is not used is in nobody's way."""
    admission = Admission(None, clock)
    for _ in range(3):
        assert admission.join().ticket is not None
    admission.admit()


def test_shared_limit() -> None:
    """Streams of one id share one admission, which ends with them; their limits must agree."""
    one = admission_of(2, "test_shared_limit")
    assert admission_of(2, "test_shared_limit") is one
    assert admission_of(2, None) is not admission_of(2, None)
    with pytest.raises(ValueError, match="must be 2, not 3"):
        admission_of(3, "test_shared_limit")
    del one
    gc.collect()
    assert admission_of(3, "test_shared_limit").limit == 3


class Doorway(RuleBasedStateMachine):
    """Visitors who come, wait, leave, dawdle and stay, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.limit = 2
        self.admission = Admission(self.limit, self.clock)
        self.slots: list[Slot] = []
        self.places: list[Place] = []

    @rule()
    def walk_in(self) -> None:
        waiting = self.admission.state.waiting
        try:
            self.slots.append(self.admission.admit())
        except Refused as refusal:
            assert refusal.retry_after is None or refusal.retry_after >= 0
        else:
            assert not waiting, "nobody passes the line"

    @rule()
    def join(self) -> None:
        self.places.append(self.admission.join())

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), ran=st.booleans())
    def end(self, data: st.DataObject, ran: bool) -> None:
        slot = data.draw(st.sampled_from(self.slots))
        self.slots.remove(slot)
        slot.release(ran)

    @precondition(lambda self: self.places)
    @rule(data=st.data(), grace=st.booleans())
    def leave(self, data: st.DataObject, grace: bool) -> None:
        data.draw(st.sampled_from(self.places)).leave(grace)

    @precondition(lambda self: self.places)
    @rule(data=st.data())
    def use_ticket(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places))
        if place.ticket is not None and not place.over:
            self.slots.append(self.admission.admit(place.ticket))
            assert place.over

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.clock.pass_by(seconds)

    @invariant()
    def all_in_order(self) -> None:
        self.places = [place for place in self.places if not place.over]
        state = self.admission.state
        tickets = [place for place in self.places if place.ticket is not None]
        line = [place for place in self.places if place.ticket is None]
        assert state.running == len(self.slots)
        assert (state.tickets, state.waiting) == (len(tickets), len(line))
        assert state.running + state.tickets <= self.limit
        assert not line or state.running + state.tickets == self.limit, "room and a line"
        assert self.places == [*tickets, *line], "first come, first served"
        assert [place.position for place in line] == list(range(1, len(line) + 1))
        estimates = [place.estimate for place in line]
        known = [each for each in estimates if each is not None]
        assert known == sorted(known)
        assert self.clock.pending == len(tickets)


TestDoorway = Doorway.TestCase
TestDoorway.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
