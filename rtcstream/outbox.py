"""Messages to the page, from any thread, in order and bounded; and the notices among them."""

import asyncio
import threading
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from aiortc import RTCDataChannel

from .messages import Log, ServerMessage, encode

Level = Literal["info", "warning", "error"]


class Outbox:
    """Holds messages until the data channel takes them.

    aiortc's channel accepts without end and buffers; this stops at ``HIGH_WATER`` bytes, and
    beyond ``LIMIT`` waiting messages gives up the oldest results, since newer ones follow; other
    messages go only when there are no results left to give up. ``dropped`` counts them, for the
    session to tell the page.
    """

    LIMIT = 256
    HIGH_WATER = 256 * 1024

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.dropped = 0
        self._loop = loop
        self._channel: RTCDataChannel | None = None
        self._waiting: deque[tuple[str, str]] = deque()
        self._lock = threading.Lock()
        self._flush_due = False
        self._closed = False
        self._settled = asyncio.Event()
        """Set when the channel is there, or is to come no more."""

    def post(self, message: ServerMessage) -> None:
        """Send a message when its turn comes. Raises MessageError if it cannot be encoded."""
        text = encode(message)
        with self._lock:
            if self._closed:
                return
            if len(self._waiting) >= self.LIMIT:
                self._give_up_one()
            self._waiting.append((message.type, text))
            if self._flush_due:
                return
            self._flush_due = True
        try:
            self._loop.call_soon_threadsafe(self._flush)
        except RuntimeError:  # the loop has ended, and the session with it
            self.close()

    def attach(self, channel: RTCDataChannel) -> None:
        """The page has opened its channel: what waits goes out."""
        self._channel = channel
        self._settled.set()
        channel.bufferedAmountLowThreshold = self.HIGH_WATER // 2
        channel.on("bufferedamountlow", self._flush)
        self._flush()

    def close(self) -> None:
        """Drop what waits, and everything from now on."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
        self._settled.set()

    async def attached(self, timeout: float) -> None:
        """Wait until the page has opened its channel, or for ``timeout`` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), timeout)

    async def drained(self, timeout: float) -> None:
        """Wait until the peer's SCTP has what was posted, or for ``timeout`` seconds."""
        channel = self._channel
        for _ in range(round(timeout / 0.01)):  # aiortc has no event for an empty buffer
            if channel is None or channel.readyState != "open":
                return
            if not self._waiting and not channel.bufferedAmount:
                return
            await asyncio.sleep(0.01)

    def _give_up_one(self) -> None:
        for index, (kind, _) in enumerate(self._waiting):
            if kind == "result":
                del self._waiting[index]
                break
        else:
            self._waiting.popleft()
        self.dropped += 1

    def _flush(self) -> None:
        channel = self._channel
        with self._lock:
            self._flush_due = False
            while (
                self._waiting
                and channel is not None
                and channel.readyState == "open"
                and channel.bufferedAmount < self.HIGH_WATER
            ):
                try:
                    channel.send(self._waiting.popleft()[1])
                except ValueError:  # longer than the peer's own a=max-message-size
                    self.dropped += 1


class Notices:
    """Says each line once and counts its repeats, so that nothing is said at frame rate.

    A new line goes out at once, at most ``PER_TICK`` of them between two ticks; repeats wait for
    the next ``tick`` and then go out with their count.
    """

    PER_TICK = 5
    REMEMBERED = 100

    def __init__(self) -> None:
        self._lines: OrderedDict[str, Log] = OrderedDict()
        self._repeated: set[str] = set()
        self._said = 0
        self._unsaid = 0
        self._lock = threading.Lock()

    def say(self, level: Level, message: str, same: str | None = None) -> Log | None:
        """The line to send now, or None when it is a repeat or too much at once.

        What is the ``same`` repeats, though its words change; without it, the words tell.
        """
        key = f"{level} {same or message}"
        with self._lock:
            line = self._lines.get(key)
            if line is not None:
                self._lines[key] = replace(line, count=line.count + 1)
                self._lines.move_to_end(key)
                self._repeated.add(key)
                return None
            if self._said >= self.PER_TICK:
                self._unsaid += 1
                return None
            self._said += 1
            line = self._lines[key] = Log(level, message)
            if len(self._lines) > self.REMEMBERED:
                forgotten, _ = self._lines.popitem(last=False)
                self._repeated.discard(forgotten)
            return line

    def tick(self) -> list[Log]:
        """What repeated since the last tick, and how much more there was."""
        with self._lock:
            # Most often said first, and no more than can be read in a second.
            repeated = [self._lines[key] for key in self._repeated]
            logs = sorted(repeated, key=lambda line: -line.count)[: self.PER_TICK]
            if self._unsaid:
                logs.append(Log("warning", f"{self._unsaid} more messages in one second"))
            self._repeated.clear()
            self._said = self._unsaid = 0
            return logs
