"""How many sessions of a stream there may be, and how long each may last."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import messages
from .messages import ServerMessage

WARNING = 10.0
"""Seconds before the end of an idle session that its visitor is told; half of a short timeout."""
LEAST = 0.1
"""Seconds that a session has that goes on when its time is over: to be told so."""
POLL = 0.1
"""Seconds between two looks at whether a session's time has begun."""


@dataclass(frozen=True)
class SessionLimits:
    """``concurrency_limit``, ``concurrency_id``, ``time_limit`` and ``idle_timeout``, as ``Stream``
    describes them.

    Raises ValueError.
    """

    concurrency_limit: int | None = None
    concurrency_id: str | None = None
    time_limit: float | None = None
    idle_timeout: float | None = None

    def __post_init__(self) -> None:
        limit = self.concurrency_limit
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ValueError(
                f"concurrency_limit must be a whole number from 1, or None, not {limit!r}"
            )
        if self.concurrency_id is not None and limit is None:
            raise ValueError(
                "concurrency_id names a limit that streams share: give concurrency_limit, too"
            )
        for name in ("time_limit", "idle_timeout"):
            seconds = getattr(self, name)
            if seconds is None:
                continue
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not number or not (math.isfinite(seconds) and seconds > 0):
                raise ValueError(f"{name} must be seconds above zero, or None, not {seconds!r}")

    def after(self, used: float) -> "SessionLimits":
        """These for a session that goes on with one that has used so many seconds."""
        if self.time_limit is None or not used:
            return self
        return replace(self, time_limit=max(LEAST, self.time_limit - used))


class TimeKeeper:
    """Ends a session when its time is over, or when its visitor has done nothing for too long.

    The time counts from when ``begun()``; the visitor is told what remains each second. ``end`` is
    called with the reason, ``"time_limit"`` or ``"idle_timeout"``.
    """

    def __init__(
        self,
        limits: SessionLimits,
        begun: Callable[[], bool],
        post: Callable[[ServerMessage], None],
        end: Callable[[str], None],
    ) -> None:
        self._limits = limits
        self._begun = begun
        self._post = post
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._touched = self._loop.time()
        self._began_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Media can flow."""
        self.touch()
        if self._limits.time_limit is not None:
            self._tasks.append(self._loop.create_task(self._limit_time(self._limits.time_limit)))
        if self._limits.idle_timeout is not None:
            self._tasks.append(
                self._loop.create_task(self._limit_idling(self._limits.idle_timeout))
            )

    @property
    def used(self) -> float:
        """Seconds of the time limit that have gone by."""
        return 0.0 if self._began_at is None else self._loop.time() - self._began_at

    def touch(self) -> None:
        """The visitor has done something; from any thread."""
        self._touched = self._loop.time()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _limit_time(self, limit: float) -> None:
        while not self._begun():  # noqa: ASYNC110, worker threads have no event for it
            await asyncio.sleep(POLL)
        self._began_at = self._loop.time()
        ends = self._began_at + limit
        while (remaining := ends - self._loop.time()) > 0:
            self._post(messages.Time(round(remaining, 1)))
            await asyncio.sleep(min(1.0, remaining))
        self._end("time_limit")

    async def _limit_idling(self, timeout: float) -> None:
        warning = min(WARNING, timeout / 2)
        warned = False
        while (left := self._touched + timeout - self._loop.time()) > 0:
            if left > warning:
                warned = False
                await asyncio.sleep(left - warning)
                continue
            if not warned:
                warned = True
                seconds = max(1, round(left))
                self._post(
                    messages.Log(
                        "warning",
                        "nothing has been changed for a while: the session ends in "
                        f"{seconds} s unless something is",
                    )
                )
            await asyncio.sleep(left)
        self._end("idle_timeout")
