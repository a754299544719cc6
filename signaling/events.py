"""Server-sent events: what happens, told over one long answer (HTML, section 9.2)."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from aiohttp import web

LOOK = 0.25
"""Seconds between two looks at whether the client is still there: HTTP/1.1 has no event for it."""
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events back until it has a page of them
}


async def send_events(
    request: web.Request,
    events: AsyncGenerator[Mapping[str, Any], None],
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Answer with the events as they come, until they end or the client leaves; then close them.

    What the generator raises before its first event is raised here, before there is an answer.
    """
    async with aclosing(events):
        first = await anext(events)
        response = web.StreamResponse(headers={**HEADERS, **headers})
        # An end is the end of the events, and no reason to keep the connection.
        response.force_close()
        sending = asyncio.create_task(_send(request, response, first, events))
        try:
            while not sending.done() and request.transport is not None:
                await asyncio.wait([sending], timeout=LOOK)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error
        return response


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    first: Mapping[str, Any],
    events: AsyncGenerator[Mapping[str, Any], None],
) -> None:
    try:
        await response.prepare(request)
        await response.write(_encoded(first))
        async for event in events:
            await response.write(_encoded(event))
        await response.write_eof()
    except ConnectionError:
        pass  # the client has left


def _encoded(event: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(event, allow_nan=False)}\n\n".encode()
