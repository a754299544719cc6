"""Reads a request's body: a small text of one media type, or a `Problem`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from .problem import Problem

LIMIT = 64 * 1024  # bytes; a browser's offer has 3 to 10 KiB
MAX_BODY = web.AppKey("rtcstream_max_body", int)
"""Bytes of a body, for an application and those mounted in it; `LIMIT` without it."""
TIMEOUT = 10.0  # seconds


async def read_text(request: web.Request, media_type: str, *, accept: str) -> str:
    """Return the body as text; `accept` names the header that lists what is accepted.

    The bound is our own because `client_max_size` is the outermost application's, which
    may be somebody else's. Raises `Problem` 400, 408, 413 or 415.
    """
    if request.content_type != media_type:
        raise Problem(
            415,
            "Wrong media type",
            f"Send the body with Content-Type: {media_type}, not {request.content_type}.",
            {accept: media_type},
        )
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "Compressed body", "Send the body as it is, without Content-Encoding.")
    limit = request.config_dict.get(MAX_BODY, LIMIT)
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    async with _in_time(f"Send the whole body within {TIMEOUT:g} seconds."):
        body = await _read(request, limit)
    if not body:
        raise Problem(400, "Empty body", f"Send the {media_type} text as the body.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            400, "Body not UTF-8", f"Send the body as UTF-8: byte {error.start} is not."
        ) from None


async def read_chunks(request: web.Request) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes; how much of it is taken is the reader's to bound.

    Raises `Problem` 400, or 408 where nothing more comes.
    """
    while True:
        async with _in_time(f"Nothing came for {TIMEOUT:g} seconds; send it again."):
            chunk = await request.content.readany()
        if not chunk:
            return
        yield chunk


@asynccontextmanager
async def _in_time(too_slow: str) -> AsyncGenerator[None, None]:
    """Around reading. Raises `Problem` 408 when it takes too long, and 400 when it breaks off."""
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except TimeoutError:
        raise Problem(408, "Body too slow", too_slow) from None
    except (ConnectionError, web.RequestPayloadError):
        raise Problem(400, "Body incomplete", "Send the whole body.") from None


async def _read(request: web.Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> Problem:
    return Problem(413, "Body too large", f"Send at most {limit} bytes.")
