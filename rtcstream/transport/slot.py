"""The newest-wins slot between two threads: the only thing that a frame ever waits in."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The slot has been closed: whoever waited on it is to end."""


class Superseded(Exception):
    """What was given is of a run that is over: nothing of it is to be shown or heard."""


class Slot(Generic[T]):
    """Holds one item. A newer one takes the place of one that still waits.

    So a slow reader sees fewer items, never older ones. ``replaced`` counts those lost.

    ``serve`` does with an item what the reader does, or returns False when it cannot at present. A
    writer that has nothing else to do may let it run on its own thread while the reader waits: an
    item then stays in one core's cache, and nobody has to be woken for it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._nudged = False
        self._reader_waits = False
        self._serving = False
        self.serve: Callable[[T], bool] | None = None
        self.replaced = 0

    @property
    def waiting(self) -> bool:
        """Whether an item waits."""
        return self._item is not None

    def put(self, item: T, idle: bool = False) -> None:
        """Offer an item; after ``close`` it does nothing. It never blocks, but an ``idle`` writer
        may do the reader's work."""
        with self._changed:
            serve = self.serve
            busy = self._serving or self._nudged or self._closed or self._item is not None
            if not idle or busy or not self._reader_waits or serve is None:
                self._offer(item)
                return
            self._serving = True
        served = True
        try:
            served = serve(item)
        finally:
            with self._changed:
                self._serving = False
                if not served and self._item is None:
                    self._offer(item)
                elif not served:  # what came meanwhile is newer
                    self.replaced += 1
                if self._item is not None or self._nudged or self._closed:
                    self._changed.notify()

    def _offer(self, item: T) -> None:
        if self._closed:
            return
        if self._item is not None:
            self.replaced += 1
        self._item = item
        self._changed.notify()

    def nudge(self) -> None:
        """Let the reader's ``take`` return None once, though there is nothing new."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for an item and remove it; None after a nudge. Raises Closed."""
        with self._changed:
            self._reader_waits = True
            while self._serving or (self._item is None and not self._closed and not self._nudged):
                self._changed.wait()
            self._reader_waits = False
            if self._closed:
                raise Closed
            item, self._item = self._item, None
            self._nudged = False
            return item

    def clear(self) -> None:
        """Drop what waits."""
        with self._changed:
            self._item = None

    def close(self) -> None:
        """Drop what waits and wake the reader for good."""
        with self._changed:
            self._closed, self._item = True, None
            self._changed.notify_all()
