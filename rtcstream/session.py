"""One peer connection: its media, its data channel, its end."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import asdict, replace
from typing import Any

from aiortc import RTCDataChannel, RTCIceCandidate

from . import logs, messages
from .buckets import Bucket
from .controls import Control, Values
from .errors import ControlError, MessageError, NegotiationError
from .host import CLOSE_TIMEOUT, Host
from .messages import ServerMessage, StateValue
from .options import MediaOptions
from .outbox import Outbox
from .resuming import Keepsake
from .runner import Runner
from .session_limits import SessionLimits, TimeKeeper
from .shared import SharedRun
from .signature import Signature
from .transport.ice import IceOptions
from .transport.peer import PeerConnection
from .types import Peer
from .uploads import Quota, Uploads
from .wiring import Wiring

logger = logging.getLogger("rtcstream.session")

CONNECT_TIMEOUT = 12.0
"""Seconds from the offer until media can flow; an offer that takes longer is given up."""
CHANNEL_TIMEOUT = 2.0
"""Seconds that a session which ends at once waits for the channel to say so."""
CHANNELS = ("rtcstream", "rtcstream-set")
TOO_FAST = "more messages come than the server takes (%g a second): this one changed nothing"
TOO_MUCH = "a message was given up: more come than the page takes; the oldest results go first"


class MediaSession(Host):
    """A visitor's session, made from an offer; it is also the ``Session`` that functions get.

    Emits ``"connected"`` when media can flow, and ``"closed"`` with the reason, once, when all of
    it has been freed; and ``"silence"``, with whether nothing is heard of the peer any more. The
    methods of the ``Session`` protocol work from any thread, all others belong to the event loop.
    In a ``shared`` run it is a member only: the function, its values and its session are the run's.
    It goes on with what was ``kept`` of one whose connection was lost, and is lost itself with a
    keepsake in turn.
    """

    def __init__(
        self,
        signatures: Sequence[Signature],
        values: Values,
        peer: Peer,
        *,
        ice: IceOptions,
        runner: Runner,
        options: MediaOptions,
        stay: SessionLimits,
        shared: SharedRun | None = None,
        kept: Keepsake | None = None,
        names: Set[str] = frozenset(),
        quota: Quota | None = None,
    ) -> None:
        super().__init__(secrets.token_urlsafe(18), peer, asyncio.get_running_loop(), runner)
        self.names = {self.id, *names, *(() if kept is None else kept.names)}
        """The ids by which the page may know it, until it is connected."""
        self.kept = kept
        """What it has yet to go on with; once it is lost, what there is of it."""
        if kept is not None:
            self.state = kept.state
        self.values = values
        self.closed = asyncio.Event()
        self._signatures = signatures
        self._shared = shared
        self._outbox = Outbox(self._event_loop)
        self._connection = PeerConnection(ice)
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._connection.on("datachannel", self._on_channel)
        self._wiring = Wiring(self._connection, values, self, options)
        self._time = TimeKeeper(stay, self._has_begun, self._post, self.end_soon)
        self._closing: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.given_up = False
        self._uploads = Uploads(quota)
        self.lost = False
        """Whether it has ended, and its visitor may come back."""
        self.limits = ice.limits
        self.trickled = 0
        """Candidates that came after its offer."""
        self._messages = Bucket(ice.limits.messages, ice.limits.message_burst)
        self._refusals = Bucket(1.0, 1)
        self._connection.on("silence", self._on_silence)
        self.opened_at = time.monotonic()
        self.live = False
        """Whether its connection has been there; before, it is half-open."""
        if shared is not None:
            shared.enter()

    # Negotiation

    async def negotiate(self, offer: str) -> str:
        """The answer to an offer. Raises NegotiationError, after which the session is closed."""
        with logs.about(self.id):
            answer = await self._negotiate(offer)
            logger.info("%s begins: %s", self.id[:6], self.peer.address)
            return answer

    async def _negotiate(self, offer: str) -> str:
        self._deadline = self._event_loop.call_later(CONNECT_TIMEOUT, self._give_up)
        try:
            await self._connection.accept(offer)
            for transceiver in self._connection.getTransceivers():
                transceiver.direction = "inactive"
            if self._shared is not None:
                self._shared.join(self, self._wiring)
            else:
                for number, signature in enumerate(self._signatures):
                    call = self._runner.call(signature, self, self._event_loop)
                    self._wiring.connect(call, counted=number == 0)
            answer = await self._connection.answer()
            if self._shared is not None:
                self._shared.check()
            if self._closing is not None:
                raise NegotiationError("the session was ended before it began")
        except BaseException:
            await self.end("the offer was refused", lost=True)
            raise
        return answer

    def _give_up(self) -> None:
        self.given_up = True
        self.end_soon("no path for media was found in time", lost=True)

    @property
    def wiring(self) -> Wiring:
        """Its receivers, workers and senders."""
        return self._wiring

    @property
    def hosts(self) -> list[Host]:
        """Itself, and the shared run that it is a member of: where its function is."""
        return [self] if self._shared is None else [self, self._shared]

    @property
    def messages_dropped(self) -> int:
        """Messages to the page that were given up."""
        return self._outbox.dropped

    @property
    def ufrag(self) -> str | None:
        """The peer's ICE username fragment."""
        return self._connection.remote_ufrag

    @property
    def ended_for_good(self) -> bool:
        """Whether it has ended, or is about to, and its visitor is not to come back."""
        return self._closing is not None and not self.lost

    @property
    def time_used(self) -> float:
        """Seconds of its time limit that have gone by; where nothing has come yet, of its life."""
        return self._time.used or time.monotonic() - self.opened_at

    @property
    def was_connected(self) -> bool:
        """Whether media could flow at any time."""
        return self._ticking is not None

    @property
    def checked(self) -> bool:
        """Whether a valid check of the peer's ICE has come: it is no ghost."""
        return self._connection.checked

    async def add_candidate(self, candidate: RTCIceCandidate) -> None:
        """A trickled candidate; nothing happens once the session ends."""
        if self._closing is None:
            await self._connection.add_candidate(candidate)

    async def upload(
        self, control: Control, name: str, chunks: AsyncIterator[bytes]
    ) -> dict[str, Any]:
        """Take a file in as a control's value, which is returned as JSON. Raises UploadBusy,
        TooLarge, Full, OSError, ControlError, and what ``chunks`` does."""
        uploads = self._uploads if self._shared is None else self._shared.uploads
        file = await uploads.take(control.name, name, chunks, int(control.maximum or 0))
        self._time.touch()
        if self.values.place(control.name, file):
            self._wiring.restart(debounce=0.0)
        if self._shared is not None:
            self._shared.changed(None)
        else:
            self._post(messages.Controls(None, self.values.to_json(), self.values.revision))
        logger.info("%s: %s is %s, %d bytes", self.id[:6], control.name, file.name, file.size)
        value: dict[str, Any] = control.to_json(file)
        return value

    # The connection's life

    def _on_connection_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self.live = True
            if self._closing is None:
                self._post(messages.State("waiting"))
                self._wiring.start(self.kept.workers if self.kept is not None else ())
                self.names, self.kept = {self.id}, None
                if self._shared is not None:
                    self._shared.begin(self)
                self._ticking = self._event_loop.create_task(self._tick())
                self._time.start()
                self.emit("connected")
        elif state in ("failed", "closed"):
            self._outbox.close()  # nothing can be told any more: aiortc would log each attempt
            if self._connection.gone:
                self.end_soon("nothing was heard of the peer any more", lost=True)
            elif state == "failed":
                self.end_soon("the connection was lost", lost=True)
            else:
                self.end_soon("the peer closed the connection")

    def _on_silence(self, silent: bool) -> None:
        if self._closing is None:
            logger.info("%s %s", self.id[:6], "falls silent" if silent else "is heard again")
            if not silent:  # while it is, it can be told nothing
                self._say("warning", "the connection was interrupted for some seconds")
            self.emit("silence", silent)

    async def end(self, reason: str, lost: bool = False) -> None:
        """End the session and free all of it; returns when that is done, however often called."""
        self.end_soon(reason, lost)
        await self.closed.wait()

    def end_soon(self, reason: str, lost: bool = False) -> None:
        """Begin to end. Of one that is ``lost``, ``kept`` is for whoever takes it, or gives it up;
        after a goodbye there is nothing to go on with."""
        if self._closing is not None:
            return
        self.lost = lost
        if self.kept is not None and lost:  # it never came so far as to go on with it
            self.kept = replace(self.kept, names=self.names)
        elif self.kept is not None:
            self.kept.give_up()
            self.kept = None
        elif lost and self._shared is None:
            workers = self._wiring.keep()
            if self.state or any(workers):
                self.kept = Keepsake(self.state, workers, self.peer, self.names)
        with logs.about(self.id):
            self._closing = self._event_loop.create_task(self._end(reason))

    def take_kept(self) -> Keepsake | None:
        """What is kept of a session that has been lost; of each, one only gets it."""
        kept, self.kept = self.kept, None
        return kept

    async def _end(self, reason: str) -> None:
        logger.info("%s ends: %s", self.id[:6], reason)
        try:
            await self._leave(reason)
        except Exception:  # a fault of ours must not leave sockets open
            logger.exception("%s: its end went wrong", self.id[:6])
        try:
            await self._connection.close_within(CLOSE_TIMEOUT)
            await self._uploads.close()
            for worker in self._wiring.workers:
                if worker.running:
                    self._event_loop.call_later(CLOSE_TIMEOUT, self.note_abandoned, worker)
        finally:  # whatever happens, nobody waits for an end that has been
            self.closed.set()
            self.emit("closed", reason)
            self.remove_all_listeners()

    async def _leave(self, reason: str) -> None:
        """Stop all that it does, and tell the page."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._time.stop()
        self._wiring.stop()
        if self._shared is not None:
            self._shared.leave(self)
        if self._ticking is not None:
            self._ticking.cancel()
            self._say_repeats()
            self._post(messages.End(reason))
            if self._connection.sctp is not None:  # or else there will be no channel
                await self._outbox.attached(CHANNEL_TIMEOUT)
            await self._outbox.drained(0.2)
        self._outbox.close()

    # The data channel

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label not in CHANNELS:
            channel.close()
            return
        channel.on("message", lambda text: self._on_message(channel, text))
        if channel.label == CHANNELS[0]:
            self._post(messages.Controls(None, self.values.to_json(), self.values.revision))
            self._outbox.attach(channel)

    def _on_message(self, channel: RTCDataChannel, text: str | bytes) -> None:
        if self._closing is not None:
            return  # nothing may begin any more
        reply: ServerMessage | None = None
        if self._messages.take():
            if not self._refusals.take():  # told once a second, however many come
                self._post(messages.Error(None, None, TOO_FAST % self.limits.messages))
            return
        try:
            message = messages.parse(text, self.limits.message)
            self._time.touch()
            if isinstance(message, messages.Set):
                reply = self._set(message)
            elif isinstance(message, messages.Record):
                if self._wiring.recorder is None:
                    raise MessageError("there is nothing to record for: the stream takes no take")
                self._wiring.record(message.on)
            elif isinstance(message, messages.Talk):
                if self._wiring.detector is None:
                    raise MessageError("there are no turns here: the stream takes no Utterance")
                self._wiring.detector.talk(message.on)
            elif isinstance(message, messages.Run):
                self._wiring.restart(debounce=0.0)
            elif not (self._shared or self).keep(message.data, len(text)):
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

    def _set(self, message: messages.Set) -> ServerMessage:
        try:
            restart = self.values.change(message.values, message.seq, self.id)
        except ControlError as error:
            return messages.Error(message.seq, error.control, str(error))
        if restart:
            self._wiring.restart()
        if self._shared is not None:
            self._shared.changed(self)
        return messages.Controls(message.seq, self.values.to_json(), self.values.revision)

    def post(self, message: ServerMessage) -> None:
        """Send the page a message; from any thread."""
        self._outbox.post(message)

    _post = post

    def played(self) -> float:
        return sum(worker.played for worker in self._wiring.workers)

    # How long it may last

    def _has_begun(self) -> bool:
        return self._wiring.has_begun

    def on_state(self, value: StateValue) -> None:
        if value in ("speaking", "recording"):  # the visitor's doing, too
            self._time.touch()
        super().on_state(value)

    # Once a second

    async def _tick(self) -> None:
        before, told = self._wiring.totals(), 0
        while True:
            await asyncio.sleep(1)
            after, dropped = self._wiring.totals(), self._outbox.dropped
            stats = self._wiring.stats(*(b - a for a, b in zip(before, after, strict=True)))
            stats = replace(stats, messages_dropped=dropped)
            self._stats = asdict(stats)
            self._post(stats)
            logger.debug("%s %s", self.id[:6], stats)
            self._say_repeats()
            if dropped > told:
                logger.warning("%s %s: %d", self.id[:6], TOO_MUCH, dropped)
                self._post(messages.Log("warning", TOO_MUCH, count=dropped))
            before, told = after, dropped
            self._say_hanging(self._wiring.workers)
