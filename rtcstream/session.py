"""One peer connection: its media, its data channel, its end."""

import asyncio
import contextlib
import logging
import random
import secrets
import statistics
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiortc import RTCDataChannel, RTCIceCandidate
from pyee.asyncio import AsyncIOEventEmitter

from . import messages
from .annotations import Take
from .calls import Call, describe_error
from .controls import Values
from .errors import ControlError, MessageError, NegotiationError, ResultError
from .generators import GeneratorRuns
from .messages import ServerMessage, StateValue
from .outbox import Level, Notices, Outbox
from .playout import Playout
from .recording import AnyRecorder, Recorder, TurnDetector
from .results import to_json
from .signature import Signature
from .tracks import AudioFilter, VideoFilter
from .transport.clock import VIDEO_RATE, SourceClock
from .transport.ice import IceOptions
from .transport.peer import PeerConnection
from .transport.receiver import AudioReceiver, VideoReceiver
from .transport.sender import AudioSender, VideoSender
from .transport.sound import PacedQueue
from .types import Peer
from .video_recording import VideoRecorder
from .worker import Worker

logger = logging.getLogger("rtcstream.session")

CONNECT_TIMEOUT = 12.0
"""Seconds from the offer until media can flow; an offer that takes longer is given up."""
HANG_TIMEOUT = 5.0
"""Seconds after which a call that has not returned is reported."""
CLOSE_TIMEOUT = 1.0
RECEIVED_MESSAGES, RECEIVED_BYTES = 256, 512 * 1024
"""What may wait for the function's ``receive``; parsed JSON can take twenty times its text."""
GENERATOR_FPS = 30.0
"""How often a generator may show a picture, unless the stream says."""
CHANNELS = ("rtcstream", "rtcstream-set")


class NothingToView(NegotiationError):
    """A viewer's offer to a stream that shows nothing unless it is sent something."""


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
        self._receivers: list[VideoReceiver | AudioReceiver] = []
        self._senders: list[VideoSender | AudioSender] = []
        self._workers: list[Worker] = []
        self._recorder: AnyRecorder | None = None
        self._lock = shared_lock
        self._max_fps = max_fps
        self._frames_in = 0
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
            for signature in self._signatures:
                self._connect(signature)
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

    def _connect(self, signature: Signature) -> None:
        """Put a function between the sections of the offer that it takes and gives."""
        call = Call(signature, self, self._event_loop, self._lock)
        if signature.picture_in is not None:
            receiver = self._receive("video")
            assert isinstance(receiver, VideoReceiver)
            video = self._send("video", receiver) if signature.out.picture else None
            outlet = video.slot if isinstance(video, VideoSender) else None
            filtering = VideoFilter(call, self.values, outlet, self, self._max_fps)
            receiver.sink = self._counted(filtering.inbox.put)
            self._workers.append(filtering)
        elif signature.sound_in is not None:
            hearing = self._receive("audio")
            assert isinstance(hearing, AudioReceiver)
            audio = self._send("audio", hearing) if signature.out.sound else None
            queue = audio.queue if isinstance(audio, AudioSender) else None
            listening = AudioFilter(call, self.values, queue, self)
            put = listening.inbox.put
            pictures = any(each.picture_in for each in self._signatures)
            hearing.sink = put if pictures else self._counted(put)
            self._workers.append(listening)
        else:
            runs = self._generate(call)
            self._workers.append(runs)
            if signature.take_in is not None:
                self._listen(signature.take_in, runs)

    def _generate(self, call: Call) -> GeneratorRuns:
        senders = {kind: self._send(kind, None) for kind in call.signature.out.kinds}
        if senders and not any(senders.values()):
            raise NegotiationError(
                "the offer takes none of what the stream gives; offer to receive "
                + " and ".join(senders)
            )
        video, audio = senders.get("video"), senders.get("audio")
        queue = PacedQueue(origin=random.getrandbits(31))
        slot, clock = None, SourceClock(VIDEO_RATE)
        if isinstance(video, VideoSender):
            slot, clock = video.slot, video.clock
        if isinstance(audio, AudioSender):
            audio.queue, queue.clock = queue, audio.clock
        playout = Playout(slot, queue, clock, self._max_fps or GENERATOR_FPS)
        if audio is None and "audio" in senders:
            playout.play_to_nobody()
        return GeneratorRuns(call, self.values, playout, self)

    def _listen(self, take: Take, runs: GeneratorRuns) -> None:
        """Let the microphone's recordings, or turns of speech, start the runs."""
        receiver = self._receive("audio")
        assert isinstance(receiver, AudioReceiver)
        if take.video:
            camera = self._receive("video")
            assert isinstance(camera, VideoReceiver)
            recorder = self._recorder = VideoRecorder(take, runs.give, self)
            camera.sink = self._counted(recorder.put_picture)
            receiver.sink = recorder.put_sound
            return
        if take.turn is None:
            sound = self._recorder = Recorder(take, runs.give, self)
            receiver.sink = self._counted(sound.put)
            return

        def interrupt() -> None:
            if runs.playing:
                runs.interrupt()

        detector = TurnDetector(take.turn, runs.give, interrupt, self)
        receiver.sink = self._counted(detector.put)

    def _receive(self, kind: str) -> VideoReceiver | AudioReceiver:
        section = self._connection.section(kind)
        if section is None:
            raise NegotiationError(f"the offer has no {kind} section, and the stream takes {kind}")
        if section._offerDirection not in ("recvonly", "sendrecv"):
            raise NothingToView("there is nothing to view: the stream shows what it is sent")
        section.direction = "sendrecv" if section.direction == "sendonly" else "recvonly"
        receiver = section.receiver
        assert isinstance(receiver, VideoReceiver | AudioReceiver)
        self._receivers.append(receiver)
        return receiver

    def _send(
        self, kind: str, source: VideoReceiver | AudioReceiver | None
    ) -> VideoSender | AudioSender | None:
        """The sender of a kind, if the peer offers to receive it; by the clock of its source."""
        section = self._connection.section(kind)
        if section is None or section._offerDirection not in ("sendonly", "sendrecv"):
            return None
        section.direction = "sendrecv" if section.direction == "recvonly" else "sendonly"
        sender = section.sender
        assert isinstance(sender, VideoSender | AudioSender)
        if source is not None:
            sender.clock = source.clock  # one clock for what comes and goes
        sender.on_error = self._on_encoder_error
        self._senders.append(sender)
        return sender

    def _counted(self, put: Any) -> Any:
        def counted(frame: Any) -> None:
            self._frames_in += 1
            put(frame)

        return counted

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
                for worker in self._workers:
                    worker.start()
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
        for receiver in self._receivers:
            receiver.sink = None
        for worker in self._workers:
            worker.stop()
        if self._recorder is not None:
            self._recorder.close()
        for sender in self._senders:
            sender.close_source()
        if self._ticking is not None:
            self._ticking.cancel()
            self._say_repeats()
            self._post(messages.End(reason))
            await self._outbox.drained(0.2)
        self._outbox.close()
        await self._connection.close_within(CLOSE_TIMEOUT)
        for worker in self._workers:
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
                if self._recorder is None:
                    raise MessageError("there is nothing to record for: the stream takes no take")
                self._recorder.record(message.on)
            elif isinstance(message, messages.Run):
                self._restart(debounce=0.0)
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
            self._restart()
        return messages.Controls(message.seq, self.values.to_json())

    def _restart(self, **options: float) -> None:
        for worker in self._workers:
            if isinstance(worker, GeneratorRuns):
                worker.restart(**options)

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

    def _on_encoder_error(self, error: BaseException) -> None:
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
            number = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
            logger.log(number[level], "%s %s", self.id[:6], line.message, exc_info=error)
            self._post(line)

    def _say_repeats(self) -> None:
        for line in self._notices.tick():
            self._post(line)

    # Once a second

    async def _tick(self) -> None:
        before = self._totals()
        while True:
            await asyncio.sleep(1)
            after = self._totals()
            self._post(self._stats(*(b - a for a, b in zip(before, after, strict=True))))
            before = after
            self._say_repeats()
            self._report_hangs(after[0])

    def _totals(self) -> tuple[float, int, int, int]:
        """Now, and since the beginning: frames in, frames out, bytes out."""
        video = [sender for sender in self._senders if isinstance(sender, VideoSender)]
        counted = video or self._senders
        frames = sum(sender.frames_sent for sender in counted)
        if not counted:
            frames = sum(worker.calls for worker in self._workers)
        sent = sum(sender.bytes_sent for sender in self._senders)
        return time.monotonic(), self._frames_in, frames, sent

    def _stats(
        self, seconds: float, frames_in: float, frames_out: float, sent: float
    ) -> messages.Stats:
        # A generator's run has no duration of its own: it waits for what it plays.
        called = [worker for worker in self._workers if not isinstance(worker, GeneratorRuns)]
        durations = [d for worker in called for d in list(worker.durations)[-60:]]
        filters = [worker for worker in self._workers if isinstance(worker, VideoFilter)]
        video = [sender for sender in self._senders if isinstance(sender, VideoSender)]
        dropped = sum(each.dropped for each in (*self._workers, *self._receivers))
        return messages.Stats(
            fps_in=round(frames_in / seconds, 1),
            fps_out=round(frames_out / seconds, 1),
            function_ms=round(statistics.median(durations) * 1000, 2) if durations else None,
            dropped=dropped + sum(sender.slot.replaced for sender in video),
            bitrate=round(sent * 8 / seconds),
            size_in=filters[0].size_in if filters else None,
            size_out=video[0].size if video else None,
        )

    def _report_hangs(self, now: float) -> None:
        for worker in self._workers:
            if isinstance(worker, GeneratorRuns):
                continue  # it may take as long as it likes
            since = worker.busy_since
            if since is not None and now - since > HANG_TIMEOUT:
                self._say(
                    "warning",
                    f"{worker.call.signature.name}() has not returned for {HANG_TIMEOUT:g} "
                    "seconds; nothing new comes until it does",
                )
