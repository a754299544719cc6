"""Calls of many sessions made as one: who is in a batch, what each gets of it, what it gains."""

import asyncio
import math
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rtcstream import (
    ResultError,
    batched,
)
from tests.pictures import plain

PICTURE = plain((90,) * 3, 64, 48)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Gate:
    """A model that waits at its first call until the test lets it go, and notes its batches."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def make(self, **options: Any) -> Any:
        @batched(**options)
        def double(numbers: list[int]) -> list[int]:
            self.batches.append(list(numbers))
            self.entered.set()
            assert self.open.wait(10)
            return [2 * number for number in numbers]

        return double


def test_each_gets_its_own(pool: ThreadPoolExecutor) -> None:
    """Whatever the batches, each caller gets what belongs to what it gave."""

    @batched(max_size=5, max_delay=0.001)
    def both(ones: list[int], others: Sequence[str] = ("x",)) -> list[tuple[int, str]]:
        assert len(ones) == len(others) <= 5
        return list(zip(ones, others, strict=True))

    def call(number: int) -> bool:
        given = both(number) if number % 3 else both(number, others=str(number))
        return given == (number, "x" if number % 3 else str(number))

    assert all(pool.map(call, range(400)))
    assert both.items == 400 and both.calls < 400


def test_batches_form_while_one_runs(pool: ThreadPoolExecutor) -> None:
    """Who comes while the model works goes into the next batch, those who came first at first, and
    no more than are taken together."""
    gate = Gate()
    double = gate.make(max_size=3, max_delay=1.0)
    calls = [pool.submit(double, 0)]
    assert gate.entered.wait(10)
    for number in range(1, 6):
        calls.append(pool.submit(double, number))
        while len(double._waiting) < number:
            time.sleep(0.001)
    gate.open.set()
    assert [call.result(10) for call in calls] == [0, 2, 4, 6, 8, 10]
    assert gate.batches[:2] == [[0], [1, 2, 3]]
    assert gate.batches[2:] == [[4, 5]]


def test_who_is_alone_does_not_wait(pool: ThreadPoolExecutor) -> None:
    """One caller is never held up for others; and a delay is the most that there is of it."""

    @batched(max_size=8, max_delay=0.5)
    def same(numbers: list[int]) -> list[int]:
        return numbers

    def took(call: Callable[[], Any]) -> float:
        started = time.monotonic()
        call()
        return time.monotonic() - started

    assert min(took(lambda: same(1)) for _ in range(5)) < 0.4
    pool.submit(same, 2).result()  # another thread, which may come again
    assert took(lambda: same(1)) > 0.49
    barrier = threading.Barrier(2)

    def together() -> float:
        barrier.wait()
        return took(lambda: same(3))

    pairs = [pool.submit(together) for _ in range(2)]
    assert all(pair.result() < 2 for pair in pairs)


def test_one_bad_item_fails_alone(pool: ThreadPoolExecutor) -> None:
    """When a batch raises, each is tried alone; exceptions may also stand in the list."""

    # Who has called is waited for yet (RECENT) after the others have waited for him once.
    @batched(max_size=4, max_delay=0.2)
    def inverse(numbers: list[int]) -> list[float | Exception]:
        if 9 in numbers:
            return [ValueError("nine") if number == 9 else number for number in numbers]
        return [1 / number for number in numbers]

    def together(numbers: list[int]) -> list[Any]:
        barrier = threading.Barrier(len(numbers))

        def call(number: int) -> Any:
            barrier.wait()
            try:
                return inverse(number)
            except (ZeroDivisionError, ValueError) as error:
                return type(error).__name__

        return list(pool.map(call, numbers))

    together([1, 2, 4, 8])
    assert together([1, 0, 4, 8]) == [1.0, "ZeroDivisionError", 0.25, 0.125]
    assert together([1, 2, 9, 4]) == [1, 2, "ValueError", 4]


def test_a_list_of_another_length(pool: ThreadPoolExecutor) -> None:
    """What cannot be told apart is nobody's: all of the batch learn why, and the next goes on."""
    wrong = True

    @batched
    def few(numbers: list[int]) -> list[int]:
        return [] if wrong else numbers

    with pytest.raises(ResultError, match="returned 0 for a batch of 1"):
        few(1)
    wrong = False
    assert few(1) == 1


def test_not_by_itself() -> None:
    """A batched function that calls one, itself or another, says so; it would wait for ever."""

    @batched
    def inner(numbers: list[int]) -> list[int]:
        return numbers

    @batched
    def outer(numbers: list[int]) -> list[int]:
        return [inner(number) for number in numbers]

    with pytest.raises(RuntimeError, match="called by a batched function"):
        outer(1)
    assert inner(1) == 1


def test_who_is_interrupted_holds_nobody_up(pool: ThreadPoolExecutor) -> None:
    """Ctrl-C in the model is raised there, the others of the batch are told, and it goes on."""
    sizes: list[int] = []

    @batched(max_size=2, max_delay=1.0)
    def model(numbers: list[int]) -> list[int]:
        sizes.append(len(numbers))
        if len(numbers) == 2:
            raise KeyboardInterrupt
        return numbers

    model._seen[0] = math.inf  # somebody is about, whom the first waits for
    given = [pool.submit(model, number) for number in (1, 2)]
    errors = [type(each.exception(10)).__name__ for each in given]
    assert sorted(errors) == ["KeyboardInterrupt", "ResultError"]
    assert sizes == [2], "it is not made again"
    model._seen.clear()
    assert pool.submit(model, 3).result(10) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no signal for a thread of one's choice")
def test_who_is_interrupted_in_line_leaves_it(pool: ThreadPoolExecutor) -> None:
    """Ctrl-C while others' batch is made is raised at once, and those behind are answered."""
    begun, go = threading.Event(), threading.Event()

    @batched(max_size=1)
    def model(numbers: list[int]) -> list[int]:
        begun.set()
        assert go.wait(10)
        return numbers

    def interrupt() -> None:
        while not model._waiting:
            time.sleep(0.005)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    first = pool.submit(model, 1)
    assert begun.wait(10)
    pool.submit(interrupt)
    with pytest.raises(KeyboardInterrupt):
        model(2)
    behind = pool.submit(model, 3)
    go.set()
    assert (first.result(10), behind.result(10)) == (1, 3)


def test_who_has_gone_is_forgotten() -> None:
    """Threads that called once are not kept, whatever the size of a batch."""

    @batched(max_size=1)
    def model(numbers: list[int]) -> list[int]:
        return numbers

    model(1)
    model._seen.update(dict.fromkeys(range(100), -math.inf))
    model(2)
    assert len(model._seen) == 1


async def test_not_on_the_event_loop() -> None:
    """On the event loop it would wait for who cannot come: it says so instead."""

    @batched
    def same(numbers: list[int]) -> list[int]:
        return numbers

    with pytest.raises(RuntimeError, match="to_thread"):
        same(1)
    assert await asyncio.to_thread(same, 1) == 1


def test_eight_sessions_of_a_model(pool: ThreadPoolExecutor) -> None:
    """Eight sessions at a model whose batch of 8 costs twice a batch of 1: thrice the frames of
    eight calls, none waits longer for its own, and none has fewer than the others."""
    device = threading.Lock()  # as of a graphics processor: one call at a time

    def model(size: int) -> None:
        with device:
            time.sleep(0.012 * (1 + (size - 1) / 7))

    @batched(max_size=8)
    def together(numbers: list[int]) -> list[int]:
        model(len(numbers))
        return numbers

    def alone(number: int) -> int:
        model(1)
        return number

    def visit(call: Callable[[int], int], number: int) -> tuple[int, list[float]]:
        latencies = []
        ends = time.monotonic() + 1.5
        while (started := time.monotonic()) < ends:
            call(number)
            latencies.append(time.monotonic() - started)
        return number, latencies

    def measure(call: Callable[[int], int]) -> tuple[Counter[int], float]:
        visits = list(pool.map(lambda number: visit(call, number), range(8)))
        every = [latency for _, latencies in visits for latency in latencies]
        counts = Counter({number: len(latencies) for number, latencies in visits})
        return counts, statistics.quantiles(every, n=20)[-1]

    apart, apart_p95 = measure(alone)
    joint, joint_p95 = measure(together)
    print(f"{joint.total() / apart.total():.2f} times the frames; p95 {joint_p95 / apart_p95:.2f}")
    assert joint.total() >= 3 * apart.total()
    assert joint_p95 <= apart_p95
    assert max(joint.values()) <= 1.2 * min(joint.values()) + 1
