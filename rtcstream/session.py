"""One peer connection: its media, its data channel, its end."""

import asyncio
import contextlib
import logging
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiortc import RTCDataChannel, RTCIceCandidate
from pyee.asyncio import AsyncIOEventEmitter

from . import messages
from .calls import Call, describe_error
from .controls import Values
from .errors import ControlError, MessageError, NegotiationError, ResultError
from .messages import ServerMessage, StateValue
from .outbox import Level, Notices, Outbox
from .results import to_json
from .signature import Signature
from .transport.ice import IceOptions
from .transport.peer import PeerConnection
from .types import Peer
from .wiring import Wiring
from .worker import Worker

logger = logging.getLogger("rtcstream.session")

CONNECT_TIMEOUT = 12.0
"""Seconds from the offer until media can flow; an offer that takes longer is given up."""
HANG_TIMEOUT = 5.0
"""Seconds after which a call that has not returned is reported."""
CLOSE_TIMEOUT = 1.0
RECEIVED_MESSAGES, RECEIVED_BYTES = 256, 512 * 1024
"""What may wait for the function's ``receive``; parsed JSON can take twenty times its text."""
CHANNELS = ("rtcstream", "rtcstream-set")
TOO_MUCH = "a message was given up: more come than the page takes; the oldest results go first"


class MediaSession(AsyncIOEventEmitter):
    """A visitor's session, made from an offer; it is also the ``Session`` that functions get.

    Emits ``"closed"`` with the reason, once, when all of it has been freed. The methods of the
    ``Session`` protocol work from any thread, all others belong to the event loop.
    """

    def __init__(
        self,
        signatures: Sequence[Signature],
        values: Values,
        peer: Peer,
        *,
        ice: IceOptions,
        shared_lock: threading.Lock,
        max_fps: float | None = None,
    ) -> None:
        super().__init__()
        self.id = secrets.token_urlsafe(18)
        self.state: dict[str, Any] = {}
        self.peer = peer
        self.values = values
        self.closed = asyncio.Event()
        self._event_loop = asyncio.get_running_loop()
        self._signatures = signatures
        self._outbox = Outbox(self._event_loop)
        self._notices = Notices()
        self._received: deque[tuple[int, Any]] = deque()
        self._received_bytes = 0
        self._received_lock = threading.Lock()
        self._connection = PeerConnection(ice)
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._connection.on("datachannel", self._on_channel)
        self._wiring = Wiring(self._connection, values, self, max_fps)
        self._lock = shared_lock
        self._closing: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._ticking: asyncio.Task[None] | None = None

    # Negotiation

    async def negotiate(self, offer: str) -> str:
        """The answer to an offer. Raises NegotiationError, after which the session is closed."""
        try:
            await self._connection.accept(offer)
            for transceiver in self._connection.getTransceivers():
                transceiver.direction = "inactive"
            for number, signature in enumerate(self._signatures):
                call = Call(signature, self, self._event_loop, self._lock)
                self._wiring.connect(call, counted=number == 0)
            answer = await self._connection.answer()
            if self._closing is not None:
                raise NegotiationError("the session was ended before it began")
        except BaseException:
            await self.end("the offer was refused")
            raise
        self._deadline = self._event_loop.call_later(
            CONNECT_TIMEOUT, self.end_soon, "no path for media was found in time"
        )
        return answer

    @property
    def ufrag(self) -> str | None:
        """The peer's ICE username fragment."""
        return self._connection.remote_ufrag

    async def add_candidate(self, candidate: RTCIceCandidate) -> None:
        """A trickled candidate; nothing happens once the session ends."""
        if self._closing is None:
            await self._connection.add_candidate(candidate)

    # The connection's life

    def _on_connection_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            if self._closing is None:
                self._post(messages.State("waiting"))
                self._wiring.start()
                self._ticking = self._event_loop.create_task(self._tick())
        elif state == "failed":
            self.end_soon("the connection was lost")
        elif state == "closed":
            self.end_soon("the peer closed the connection")

    async def end(self, reason: str) -> None:
        """End the session and free all of it; returns when that is done, however often called."""
        self.end_soon(reason)
        await self.closed.wait()

    def end_soon(self, reason: str) -> None:
        if self._closing is None:
            self._closing = self._event_loop.create_task(self._end(reason))

    async def _end(self, reason: str) -> None:
        logger.info("%s ends: %s", self.id[:6], reason)
        try:
            await self._free(reason)
        finally:  # whatever happens, nobody waits for an end that has been
            self.closed.set()
            self.emit("closed", reason)
            self.remove_all_listeners()

    async def _free(self, reason: str) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._wiring.stop()
        if self._ticking is not None:
            self._ticking.cancel()
            self._say_repeats()
            self._post(messages.End(reason))
            await self._outbox.drained(0.2)
        self._outbox.close()
        await self._connection.close_within(CLOSE_TIMEOUT)
        for worker in self._wiring.workers:
            if worker.running:
                self._event_loop.call_later(CLOSE_TIMEOUT, self._note_abandoned, worker)

    def _note_abandoned(self, worker: Worker) -> None:
        if worker.running:
            logger.warning(
                "%s has ended, but %s() has not returned; its thread is abandoned",
                self.id[:6],
                worker.call.signature.name,
            )

    # The data channel

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label not in CHANNELS:
            channel.close()
            return
        channel.on("message", lambda text: self._on_message(channel, text))
        if channel.label == CHANNELS[0]:
            self._post(messages.Controls(None, self.values.to_json()))
            self._outbox.attach(channel)

    def _on_message(self, channel: RTCDataChannel, text: str | bytes) -> None:
        if self._closing is not None:
            return  # nothing may begin any more
        reply: ServerMessage | None = None
        try:
            message = messages.parse(text)
            if isinstance(message, messages.Set):
                reply = self._set(message)
            elif isinstance(message, messages.Record):
                if self._wiring.recorder is None:
                    raise MessageError("there is nothing to record for: the stream takes no take")
                self._wiring.record(message.on)
            elif isinstance(message, messages.Run):
                self._wiring.restart(debounce=0.0)
            elif not self._keep(message.data, len(text)):
                reply = messages.Error(
                    None, None, "too much data: the function has not taken what was sent before"
                )
        except MessageError as error:
            reply = messages.Error(error.seq, None, str(error))
        if reply is not None and channel.label == CHANNELS[0]:
            self._post(reply)
        elif (
            reply is not None
            and channel.readyState == "open"
            and channel.bufferedAmount < Outbox.HIGH_WATER  # who gets no answer sends again
        ):
            channel.send(messages.encode(reply))

    def _keep(self, data: Any, size: int) -> bool:
        with self._received_lock:
            if (
                len(self._received) >= RECEIVED_MESSAGES
                or self._received_bytes + size > RECEIVED_BYTES
            ):
                return False
            self._received.append((size, data))
            self._received_bytes += size
            return True

    def _set(self, message: messages.Set) -> ServerMessage:
        try:
            restart = self.values.change(message.values, message.seq)
        except ControlError as error:
            return messages.Error(message.seq, error.control, str(error))
        if restart:
            self._wiring.restart()
        return messages.Controls(message.seq, self.values.to_json())

    def _post(self, message: ServerMessage) -> None:
        self._outbox.post(message)

    # What the functions do: called on their worker threads

    def on_state(self, value: StateValue) -> None:
        self._post(messages.State(value))

    def on_raised(self, call: Call, error: BaseException) -> None:
        # What is wrong with a result is said in full by its words: no line raised it.
        cause = None if isinstance(error, ResultError) else error
        text = describe_error(error, call.signature)
        # One line of code raises one kind of error, whatever numbers are in its words.
        same = None if cause is None else f"{type(error).__name__} {text.rpartition(' (')[2]}"
        self._say("error", text, cause, same)

    def on_warning(self, text: str) -> None:
        self._say("warning", text)

    def on_results(
        self, results: tuple[tuple[str | None, Any], ...], pts: int | None, run: int
    ) -> None:
        wire = None if pts is None else pts & 0xFFFFFFFF
        for name, data in results:
            try:
                self._post(messages.Result(wire, run, name, data))
            except MessageError as error:
                self._say("error", f"a result cannot be sent: {error}")

    def on_encoder_error(self, error: BaseException) -> None:
        self._say("error", f"what was to be sent could not be encoded: {error}", error)

    # The Session protocol

    def send(self, data: Any) -> None:
        try:
            self._post(messages.ServerData(to_json(data, where="the data")))
        except MessageError as error:
            raise ResultError(f"the data cannot be sent: {error}") from None

    def receive(self) -> list[Any]:
        with self._received_lock:
            taken = [data for _, data in self._received]
            self._received.clear()
            self._received_bytes = 0
        return taken

    def info(self, text: str) -> None:
        self._say("info", text)

    def warn(self, text: str) -> None:
        self._say("warning", text)

    def error(self, text: str) -> None:
        self._say("error", text)

    def progress(self, value: float, text: str = "") -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"progress is from 0 to 1, not {value!r}")
        self._post(messages.Progress(float(value), str(text)[:2000]))

    def close(self, reason: str = "closed by the function") -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the session with it
            self._event_loop.call_soon_threadsafe(self.end_soon, str(reason)[:2000])

    def _say(
        self,
        level: Level,
        text: str,
        error: BaseException | None = None,
        same: str | None = None,
    ) -> None:
        line = self._notices.say(level, str(text)[:2000], same)
        if line is not None:
            number = logging.getLevelNamesMapping()[level.upper()]
            logger.log(number, "%s %s", self.id[:6], line.message, exc_info=error)
            self._post(line)

    def _say_repeats(self) -> None:
        for line in self._notices.tick():
            self._post(line)

    # Once a second

    async def _tick(self) -> None:
        before, told = self._wiring.totals(), 0
        while True:
            await asyncio.sleep(1)
            after, dropped = self._wiring.totals(), self._outbox.dropped
            stats = self._wiring.stats(*(b - a for a, b in zip(before, after, strict=True)))
            self._post(replace(stats, messages_dropped=dropped))
            self._say_repeats()
            if dropped > told:
                logger.warning("%s %s: %d", self.id[:6], TOO_MUCH, dropped)
                self._post(messages.Log("warning", TOO_MUCH, count=dropped))
            before, told = after, dropped
            for call in self._wiring.hanging(longer_than=HANG_TIMEOUT):
                self._say(
                    "warning",
                    f"{call.signature.name}() has not returned for {HANG_TIMEOUT:g} seconds; "
                    "nothing new comes until it does",
                )
