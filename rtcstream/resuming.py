"""What outlives a lost connection for a while: a session's state, its class's instance."""

import asyncio
import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakSet

from .types import Peer
from .worker import Worker

logger = logging.getLogger("rtcstream.session")

KEEP_SECONDS = 30.0
"""For a page to find a network again, and the server."""
MOST_KEPT = 64
"""Lost sessions of a stream that are kept; of more, the one lost first is given up."""


@dataclass(frozen=True)
class Keepsake:
    """What a session of the same visitor goes on with; ``give_up``, or start after its ``workers``.

    ``names`` are the ids that it is known by: a page that never got the answer to its last offer
    knows only the one before.
    """

    state: dict[str, Any]
    workers: Sequence[Worker | None]
    peer: Peer
    names: Set[str]

    def give_up(self) -> None:
        for worker in self.workers:
            if worker is not None:
                worker.give_up()

    def without_instances(self) -> "Keepsake":
        """Give up what its workers hold, and keep the state."""
        self.give_up()
        return replace(self, workers=())


def is_same(one: Peer, other: Peer) -> bool:
    """Whether both are the same visitor, as far as it is known who they are; an id that nobody can
    guess has to do otherwise."""
    return one.identity == other.identity


class Keeper:
    """The keepsakes of a stream's lost sessions, each for its time; ``sharing`` are the keepers of
    streams that have their room together, this one too from now on."""

    def __init__(self, sharing: "WeakSet[Keeper] | None" = None) -> None:
        self._kept: list[tuple[Keepsake, asyncio.TimerHandle]] = []
        self._closed = False
        self._sharing = WeakSet() if sharing is None else sharing
        self._sharing.add(self)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, keepsake: Keepsake) -> None:
        if self._closed:
            keepsake.give_up()
            return
        loop = asyncio.get_running_loop()
        self._kept.append((keepsake, loop.call_later(KEEP_SECONDS, self._give_up, 0)))
        if len(self._kept) > MOST_KEPT:  # all of one time: the first's is over first
            self._give_up(0)

    def take(self, name: str, peer: Peer) -> Keepsake | None:
        """What is kept of a session, for who it belongs to; None if there is nothing, any more."""
        for entry in self._kept:
            keepsake, timer = entry
            if name in keepsake.names and is_same(keepsake.peer, peer):
                timer.cancel()
                self._kept.remove(entry)
                return keepsake
        return None

    def owner(self, name: str) -> str | None:
        """The identity of the visitor that something is kept for under this name."""
        found = (each.peer.identity for each, _ in self._kept if name in each.names)
        return next(found, None)

    def bound_instances(self, most: int) -> None:
        """Of more than ``most`` whose class's instances are kept, by all that share the room, the
        ones lost first are left with their state alone: there may be no memory for more."""
        held = [
            (timer.when(), keeper, keepsake)
            for keeper in self._sharing
            for keepsake, timer in keeper._kept
            if any(keepsake.workers)
        ]
        held.sort(key=lambda each: each[0])  # all of one time: the first's is over first
        for _, keeper, keepsake in held[: max(0, len(held) - most)]:
            keeper._leave_state(keepsake)

    def _leave_state(self, keepsake: Keepsake) -> None:
        self._kept = [
            (each.without_instances() if each is keepsake else each, timer)
            for each, timer in self._kept
        ]

    def give_up(self, name: str) -> bool:
        """Whether anything was kept of a session, which is not any more."""
        for index, (keepsake, _) in enumerate(self._kept):
            if name in keepsake.names:
                self._give_up(index)
                return True
        return False

    def close(self) -> None:
        """Give up all, and keep nothing any more."""
        self._closed = True
        while self._kept:
            self._give_up(0)

    def _give_up(self, index: int) -> None:
        keepsake, timer = self._kept.pop(index)
        timer.cancel()
        logger.debug("%s was not resumed", sorted(keepsake.names)[0][:6])
        keepsake.give_up()
