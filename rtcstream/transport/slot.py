"""The newest-wins slot between two threads: the only thing that a frame ever waits in."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The slot has been closed: whoever waited on it is to end."""


class Superseded(Exception):
    """What was given is of a run that is over: nothing of it is to be shown or heard."""


class Slot(Generic[T]):
    """Holds one item. A newer one takes the place of one that still waits.

    So a slow reader sees fewer items, never older ones. ``replaced`` counts those lost.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._nudged = False
        self.replaced = 0

    def put(self, item: T) -> None:
        """Offer an item; never blocks. After ``close`` it does nothing."""
        with self._changed:
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
            while self._item is None and not self._closed and not self._nudged:
                self._changed.wait()
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
