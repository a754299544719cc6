"""How a stream's functions are run: on threads of the server, or in worker processes."""

import asyncio
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from .batching import batch_of
from .calls import AnyCall, Call
from .errors import SignatureError
from .faults import Faults
from .isolation import RemoteCall
from .lifespan import Lifespan
from .signature import Signature
from .worker_process import Spares, Target

Isolation: TypeAlias = Literal["thread", "process"]

HANG_TIMEOUT = 5.0
"""Seconds after which a call that has not returned is reported, unless the stream says."""


@dataclass(frozen=True)
class RunOptions:
    """``hang_timeout`` and ``isolation``, as ``Stream`` describes them. Raises ValueError."""

    hang_timeout: float | None = HANG_TIMEOUT
    isolation: Isolation = "thread"

    def __post_init__(self) -> None:
        seconds = self.hang_timeout
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"hang_timeout must be above zero, or None for never, not {seconds!r}")
        if self.isolation not in get_args(Isolation):
            raise ValueError(f"isolation must be 'thread' or 'process', not {self.isolation!r}")


class Runner:
    """Makes the calls of a stream's sessions, and counts in ``faults`` what of them goes wrong.

    Raises SignatureError for a function that cannot be run so.
    """

    def __init__(
        self,
        signatures: Sequence[Signature],
        options: RunOptions,
        lifespan: Lifespan | None = None,
    ) -> None:
        self.options = options
        self.faults = Faults()
        self._lock = threading.Lock()
        self._lifespan = lifespan
        self._entered = False
        self._spares: list[tuple[Signature, Spares]] = []
        if options.isolation == "process":
            if lifespan is not None:
                raise ValueError(
                    "lifespan loads once in the server's process; with isolation='process' load in "
                    "the constructor of a class instead, in each session's"
                )
            for each in signatures:
                if batch_of(each.target) is not None:
                    raise SignatureError(
                        each.name,
                        None,
                        "it is batched, for all sessions in one process; drop isolation='process'",
                    )
            self._spares = [(s, Spares(Target.of(s), self.faults)) for s in signatures]

    def call(self, signature: Signature, session: Any, loop: asyncio.AbstractEventLoop) -> AnyCall:
        """A session's call of one of the functions."""
        for found, spares in self._spares:
            if found is signature:
                return RemoteCall(signature, session, loop, spares, self.faults)
        return Call(signature, session, loop, self._lock, self._lifespan)

    def begin(self) -> None:
        """Load what all sessions need, if that is not there; on the event loop, which goes on."""
        if self._lifespan is None:
            return
        if not self._entered:
            self._entered = True
            self._lifespan.enter()
        else:
            self._lifespan.begin()

    @property
    def loaded(self) -> bool:
        """Whether what all sessions need is there."""
        return self._lifespan is None or self._lifespan.ready

    async def end(self) -> None:
        """Put that away, and end the worker processes that no session has."""
        if self._lifespan is not None and self._entered:
            self._entered = False
            await self._lifespan.leave()
        await asyncio.to_thread(self._close)

    def warm(self) -> None:
        """Have worker processes ready for the first session, where there are any; takes a moment:
        not for the event loop."""
        for _, spares in self._spares:
            spares.warm()

    def _close(self) -> None:
        for _, spares in self._spares:
            spares.close()
