"""Answers of a model, as a server with OpenAI's interface streams them."""

import json
import os
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp

PATIENCE = 30.0
"""Seconds without a word after which there is no answer, or no more of it."""


class NoAnswer(RuntimeError):
    """Why there is none, or no more of it: a sentence about the server."""


async def ask(
    url: str, model: str, messages: list[dict[str, str]], patience: float = PATIENCE
) -> AsyncGenerator[str, None]:
    """The model's answer to these messages, in parts as they come. Raises NoAnswer.

    ``url`` is the server's with its ``/v1``. Closing the generator ends the request at once.
    """
    key = os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"model": model, "messages": messages, "stream": True}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=patience)
    some = whole = False
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as client,
            client.post(f"{url.rstrip('/')}/chat/completions", json=body) as response,
        ):
            if response.status != 200:
                said = _reason(await response.text(errors="replace"))
                raise NoAnswer(f"answered {response.status} {response.reason}: {said}")
            async for line in response.content:  # server-sent events
                text, ends = _read(line)
                some, whole = some or bool(text), whole or ends
                if text:
                    yield text
        if not some:
            raise NoAnswer("answered without a word: is its URL right, with the /v1 at its end?")
        if not whole:
            raise NoAnswer("broke off in the middle of its answer")
    except aiohttp.ConnectionTimeoutError:
        raise NoAnswer("cannot be reached: it does not answer") from None
    except TimeoutError:
        raise NoAnswer(f"has said nothing for {patience:g} seconds") from None
    except aiohttp.ClientConnectorError as error:
        raise NoAnswer(f"cannot be reached: {error}") from None
    except (
        aiohttp.ClientPayloadError,
        aiohttp.ClientOSError,
        aiohttp.ServerDisconnectedError,
    ):
        where = "in the middle of its answer" if some else "before it answered"
        raise NoAnswer(f"broke off {where}") from None
    except (aiohttp.ClientError, ValueError) as error:  # no address, no HTTP, an endless line
        raise NoAnswer(f"cannot be understood: {error}") from None


def _read(line: bytes) -> tuple[str, bool]:
    """What a line adds to the answer, and whether it is its end."""
    if not line.startswith(b"data:"):
        return "", False
    data = line[5:].strip()
    if data == b"[DONE]":
        return "", True
    try:
        event: dict[str, Any] = json.loads(data)
        if "error" in event:
            raise NoAnswer(f"gave up: {_reason(data.decode())}")
        text, ends = "", False
        for choice in event.get("choices") or ():
            text += (choice.get("delta") or {}).get("content") or ""
            ends = ends or choice.get("finish_reason") is not None
        return text, ends
    except (ValueError, TypeError, AttributeError):
        raise NoAnswer(f"sent what is no part of an answer: {data[:80]!r}") from None


def _reason(text: str) -> str:
    """What a server says of its error, in its words."""
    try:
        return str(json.loads(text)["error"]["message"])[:300]
    except (ValueError, TypeError, LookupError):
        return " ".join(text.split())[:300] or "it does not say why"
