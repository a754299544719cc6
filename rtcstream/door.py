"""Where visitors of a stream are let in, have to wait, or are turned away: in HTTP's words."""

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from aiohttp import web

from .admission import Admission, Place, Refused, Slot
from .overload import Overload
from .signaling import Problem

OVERLOAD = web.AppKey("rtcstream_overload", Overload)
"""What measures the server of an application and of those mounted in it."""

TICKET = "Rtcstream-Ticket"
"""The header that a ticket comes in."""
NEWS_INTERVAL = 2.0
"""Seconds after which who waits hears something, though nothing has changed."""
RETRY_AFTER = 5.0
"""Seconds after which to come again where nothing is known."""


class Door:
    """One stream's, in front of the ``admission`` that it may share with others."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self._places: set[Place] = set()
        self._closed = False

    def admit(self, headers: Mapping[str, str], overload: Overload | None) -> Slot:
        """The room for a session. Raises Problem."""
        overloaded = overload is not None and overload.overloaded
        try:
            return self.admission.admit(headers.get(TICKET), held=overloaded)
        except Refused as refusal:
            if overload is not None and overloaded:
                overload.refused += 1
                raise Problem(
                    503,
                    "The server is busy",
                    f"The server has more to do than it can: {overload.why}. Try again later, or "
                    "wait at ./queue for a ticket.",
                    _retry_after(refusal.retry_after),
                ) from None
            raise _full(refusal) from None

    async def queue(self, overload: Overload | None) -> AsyncGenerator[dict[str, Any], None]:
        """A place in the line: its position and estimate, then its ticket; ends when that has been
        used or is no longer good. Closing it gives the place up. Raises Problem."""
        changed = asyncio.Event()
        try:
            place = self.admission.join(
                changed.set, lambda: overload is not None and overload.overloaded
            )
        except Refused as refusal:
            raise _full(refusal) from None
        self._places.add(place)
        told = False
        try:
            while place.ticket is None and not place.over:
                estimate = place.estimate
                rounded = None if estimate is None else round(estimate, 1)
                changed.clear()
                yield {"position": place.position, "estimate": rounded}
                await _within(changed, NEWS_INTERVAL)
                place.look()
            if place.ticket is not None:
                changed.clear()
                yield {"ticket": place.ticket}
                told = True
            while not place.over:
                await changed.wait()
                changed.clear()
        finally:
            self._places.discard(place)
            place.leave(grace=told and not self._closed)

    def close(self) -> None:
        """Send those who wait away."""
        self._closed = True
        for place in tuple(self._places):
            place.leave()


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _full(refusal: Refused) -> Problem:
    return Problem(
        503,
        "No room now",
        f"Not so many at once: {refusal}. Try again later, or wait at ./queue for a ticket, which "
        f"goes into the header {TICKET}.",
        _retry_after(refusal.retry_after),
    )


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(RETRY_AFTER if seconds is None else seconds)))}
