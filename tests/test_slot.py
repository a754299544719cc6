"""The newest-wins slot between two threads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from rtcstream.transport.slot import Closed, Slot


@contextmanager
def waiting(take: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Calls `take` on a thread of its own, which has begun when the body runs."""
    begun = threading.Event()

    def reader() -> Any:
        begun.set()
        return take()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(reader)
        assert begun.wait(5)
        yield future


def test_what_is_put_is_taken_once() -> None:
    """An item waits for its reader, who takes it away."""
    slot: Slot[str] = Slot()
    slot.put("a")
    assert slot.take() == "a"
    slot.nudge()
    assert slot.take() is None


def test_the_newest_wins() -> None:
    """A newer item takes the place of one that still waits, which is counted."""
    slot: Slot[int] = Slot()
    for item in range(5):
        slot.put(item)
    assert slot.take() == 4
    assert slot.replaced == 4
    slot.put(5)
    assert (slot.take(), slot.replaced) == (5, 4)


def test_an_item_wakes_the_reader() -> None:
    """A reader that waits gets the next item at once."""
    slot: Slot[str] = Slot()
    with waiting(slot.take) as taken:
        slot.put("a")
        assert taken.result(5) == "a"
    assert slot.replaced == 0


def test_a_nudge_wakes_the_reader() -> None:
    """A nudge makes one `take` return with nothing."""
    slot: Slot[str] = Slot()
    with waiting(slot.take) as taken:
        slot.nudge()
        assert taken.result(5) is None
    with waiting(slot.take) as taken:
        slot.put("a")
        assert taken.result(5) == "a"


def test_a_nudge_comes_with_an_item() -> None:
    """A nudge and an item are one awakening; the item is what counts."""
    slot: Slot[str] = Slot()
    slot.nudge()
    slot.nudge()
    slot.put("a")
    assert slot.take() == "a"
    slot.close()
    with pytest.raises(Closed):
        slot.take()


def test_clear() -> None:
    """What waits can be dropped; what is put later is taken as ever."""
    slot: Slot[str] = Slot()
    slot.put("a")
    slot.clear()
    slot.put("b")
    assert (slot.take(), slot.replaced) == ("b", 0)


def test_close_wakes_the_reader() -> None:
    """A reader that waits is told when the slot is closed."""
    slot: Slot[str] = Slot()
    with waiting(slot.take) as taken:
        slot.close()
        with pytest.raises(Closed):
            taken.result(5)


def test_a_closed_slot() -> None:
    """Closing drops what waits and all that follows, for good, and may be done twice."""
    slot: Slot[str] = Slot()
    slot.put("a")
    slot.close()
    slot.close()
    slot.put("b")
    slot.nudge()
    for _ in range(2):
        with pytest.raises(Closed):
            slot.take()
    assert slot.replaced == 0


def test_a_closed_slot_holds_nothing() -> None:
    """A closed slot lets go of what waited in it, so that its memory is free."""
    freed = threading.Event()

    class Item:
        def __del__(self) -> None:
            freed.set()

    slot: Slot[Item] = Slot()
    slot.put(Item())
    assert not freed.is_set()
    slot.close()
    assert freed.is_set()


def test_a_fast_writer_and_a_reader() -> None:
    """Between threads nothing is seen twice or out of order, and every loss is counted."""
    slot: Slot[int] = Slot()
    count = 2000

    def read() -> list[int]:
        seen: list[int] = []
        while not seen or seen[-1] != count - 1:
            item = slot.take()
            assert item is not None
            seen.append(item)
        return seen

    with waiting(read) as reading:
        for item in range(count):
            slot.put(item)
        seen = reading.result(10)
    assert seen == sorted(set(seen))
    assert len(seen) + slot.replaced == count


def test_several_writers() -> None:
    """Writers on several threads never lose the count."""
    slot: Slot[int] = Slot()
    with ThreadPoolExecutor(4) as pool:
        for written in [pool.submit(slot.put, item) for item in range(400)]:
            written.result(5)
    assert slot.take() is not None
    assert slot.replaced == 399


@contextmanager
def reader_waits(slot: Slot[Any]) -> Iterator[Future[Any]]:
    """A reader that has come to wait."""
    with waiting(slot.take) as taken:
        while not slot._reader_waits:
            time.sleep(0.001)
        yield taken


def test_an_idle_writer_serves_itself() -> None:
    """While the reader waits, a writer with nothing else to do does its work, and wakes nobody."""
    slot: Slot[str] = Slot()
    served: list[tuple[str, threading.Thread]] = []

    def serve(item: str) -> bool:
        served.append((item, threading.current_thread()))
        return True

    slot.serve = serve
    with reader_waits(slot) as taken:
        slot.put("a", idle=True)
        assert served == [("a", threading.current_thread())]
        assert not taken.done()
        slot.put("b")
        assert taken.result(5) == "b"
    assert slot.replaced == 0


def test_a_busy_reader_is_not_served_for() -> None:
    """What a writer offers while the reader has something in hand waits for the reader."""
    slot: Slot[str] = Slot()
    slot.serve = lambda item: pytest.fail("nobody waits")
    slot.put("a", idle=True)
    assert slot.take() == "a"


def test_what_cannot_be_served_waits() -> None:
    """A writer that cannot do the reader's work at present leaves it to the reader."""
    slot: Slot[str] = Slot()
    slot.serve = lambda item: False
    with reader_waits(slot) as taken:
        slot.put("a", idle=True)
        assert taken.result(5) == "a"


def test_one_at_a_time() -> None:
    """The reader gets nothing while a writer does its work: not what came, nor a nudge, nor the
    end."""
    slot: Slot[str] = Slot()
    with reader_waits(slot) as taken:

        def serve(item: str) -> bool:
            slot.put("b")
            slot.nudge()
            slot.close()
            assert not taken.done()
            return True

        slot.serve = serve
        slot.put("a", idle=True)
        with pytest.raises(Closed):
            taken.result(5)


def test_serving_raises() -> None:
    """An error of the reader's work is the writer's, and the slot goes on."""
    slot: Slot[str] = Slot()

    def serve(item: str) -> bool:
        raise RuntimeError(item)

    slot.serve = serve
    with reader_waits(slot) as taken:
        with pytest.raises(RuntimeError, match="a"):
            slot.put("a", idle=True)
        slot.put("b")
        assert taken.result(5) == "b"
