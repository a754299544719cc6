"""What stands between the sections of an offer and the functions of a session."""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Protocol

from . import messages
from .annotations import Take
from .calls import AnyCall
from .controls import Values
from .echo import Echo
from .errors import NegotiationError
from .generators import GeneratorRuns
from .options import MediaOptions
from .playout import Playout
from .recording import AnyRecorder, Recorder, Told
from .tracks import AudioFilter, VideoFilter
from .transport.audio_receiver import AudioReceiver
from .transport.clock import VIDEO_RATE, SourceClock
from .transport.extensions import prefer
from .transport.peer import PeerConnection
from .transport.receiver import VideoReceiver
from .transport.sender import AudioSender, VideoSender
from .transport.sound import PacedQueue, SteadyQueue
from .transport.timeline import Timeline
from .turns import TurnDetector
from .video_recording import VideoRecorder
from .worker import Listener, Worker

GENERATOR_FPS = 30.0
"""How often a generator may show a picture, unless the stream says."""
UNSENT = 15.0
"""Seconds that a visitor who should send may take to begin, before the time counts all the same."""
LINGER = 0.2
"""Seconds that a recording goes on after the page's word: the media of that moment come later."""


class NothingToView(NegotiationError):
    """A viewer's offer to a stream that shows nothing unless it is sent something."""


class WiringListener(Listener, Told, Protocol):
    """Who is told what functions, recorders and encoders do."""

    def on_encoder_error(self, error: BaseException) -> None:
        """A frame could not be encoded; on the encoder's thread."""


class Wiring:
    """A session's receivers, workers and senders, and what they have done so far."""

    def __init__(
        self,
        connection: PeerConnection,
        values: Values,
        listener: WiringListener,
        options: MediaOptions,
    ) -> None:
        self.receivers: list[VideoReceiver | AudioReceiver] = []
        self.senders: list[VideoSender | AudioSender] = []
        self.workers: list[Worker] = []
        self.watched: Worker | None = None
        """A shared run's, whose end is not this session's."""
        self.recorder: AnyRecorder | None = None
        self.detector: TurnDetector | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._expiring: asyncio.TimerHandle | None = None
        self.timeline = Timeline()
        self.frames_in = 0
        self._started = 0.0
        self._connection = connection
        self._values = values
        self._listener = listener
        self._options = options

    def connect(self, call: AnyCall, counted: bool) -> None:
        """Put a function between the sections of the offer that it takes and gives.

        Its frames count in the statistics if ``counted``: pictures before sound. Raises
        NegotiationError, or NothingToView.
        """
        signature = call.signature
        if signature.picture_in is not None:
            receiver = self.receive("video")
            assert isinstance(receiver, VideoReceiver)
            video = self.send("video", receiver) if signature.out.picture else None
            outlet = video.slot if isinstance(video, VideoSender) else None
            filtering = VideoFilter(
                call, self._values, outlet, self._listener, self._options.max_fps
            )
            receiver.timeline = filtering.timeline = self.timeline
            receiver.sink = self.counted(filtering.inbox.put)
            self.workers.append(filtering)
        elif signature.sound_in is not None:
            hearing = self.receive("audio")
            assert isinstance(hearing, AudioReceiver)
            audio = self.send("audio", hearing) if signature.out.sound else None
            queue = None
            if isinstance(audio, AudioSender):
                queue = audio.queue = SteadyQueue()
            listening = AudioFilter(call, self._values, queue, self._listener)
            put = listening.inbox.put
            hearing.sink = self.counted(put) if counted else put
            self.workers.append(listening)
        else:
            runs = self._generate(call)
            self.workers.append(runs)
            if signature.take_in is not None:
                self._listen(signature.take_in, runs)

    def _generate(self, call: AnyCall) -> GeneratorRuns:
        senders = {kind: self.send(kind, None) for kind in call.signature.out.kinds}
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
        playout = Playout(slot, queue, clock, self._options.max_fps or GENERATOR_FPS)
        if audio is None and "audio" in senders:
            playout.play_to_nobody()
        return GeneratorRuns(call, self._values, playout, self._listener)

    def _listen(self, take: Take, runs: GeneratorRuns) -> None:
        """Let the microphone's recordings, or turns of speech, start the runs."""
        receiver = self.receive("audio")
        assert isinstance(receiver, AudioReceiver)
        if take.video:
            camera = self.receive("video")
            assert isinstance(camera, VideoReceiver)
            recorder = self.recorder = VideoRecorder(take, runs.give, self._listener)
            camera.sink = self.counted(recorder.put_picture)
            receiver.sink = recorder.put_sound
            return
        if take.turn is None:
            sound = self.recorder = Recorder(take, runs.give, self._listener)
            receiver.sink = self.counted(sound.put)
            return
        echo = Echo()
        runs.tap(echo.sent)
        detector = self.detector = TurnDetector(take.turn, runs, self._listener, echo)
        receiver.sink = self.counted(detector.put)

    def is_sent(self, kind: str) -> bool:
        """Whether the peer offers to send media of a kind."""
        section = self._connection.section(kind)
        return section is not None and section._offerDirection in ("recvonly", "sendrecv")

    def receive(self, kind: str) -> VideoReceiver | AudioReceiver:
        """The receiver of a kind. Raises NegotiationError, or NothingToView."""
        section = self._connection.section(kind)
        if section is None:
            raise NegotiationError(f"the offer has no {kind} section, and the stream takes {kind}")
        if not self.is_sent(kind):
            raise NothingToView(
                f"there is nothing to view: the stream shows what it is sent; offer to send {kind}"
            )
        section.direction = "sendrecv" if section.direction == "sendonly" else "recvonly"
        receiver = section.receiver
        assert isinstance(receiver, VideoReceiver | AudioReceiver)
        self.receivers.append(receiver)
        return receiver

    def send(
        self, kind: str, source: VideoReceiver | AudioReceiver | None, codec: str | None = None
    ) -> VideoSender | AudioSender | None:
        """The sender of a kind, if the peer offers to receive it; by the clock of its source.

        Raises NegotiationError when it must be of a ``codec`` that the offer has not.
        """
        section = self._connection.section(kind)
        if section is None or section._offerDirection not in ("sendonly", "sendrecv"):
            return None
        if codec is not None and not prefer(section, codec):
            raise NegotiationError(f"the stream's {kind} is sent in {codec}; offer to receive that")
        section.direction = "sendrecv" if section.direction == "recvonly" else "sendonly"
        sender = section.sender
        assert isinstance(sender, VideoSender | AudioSender)
        if source is not None:
            sender.clock = source.clock  # one clock for what comes and goes
        sender.on_error = self._listener.on_encoder_error
        if isinstance(sender, VideoSender):
            sender.limits, sender.latency = self._options.bitrate, self._options.latency
            sender.timeline = self.timeline
            sender.hardware = self._options.hardware
            prefer(section, self._options.codec)
        self.senders.append(sender)
        if len(self.senders) == 2:  # the browser may hold the picture back until its sound comes
            for each in self.senders:
                if isinstance(each, VideoSender) and each.latency == "auto":
                    each.latency = "smooth"
        return sender

    def counted(self, put: Any) -> Any:
        """``put``, which also counts for the statistics."""

        def counted(frame: Any) -> None:
            self.frames_in += 1
            put(frame)

        return counted

    def start(self, after: Sequence[Worker | None]) -> None:
        """Let the functions begin, or go on ``after`` the workers that another wiring has kept."""
        self._started = time.monotonic()
        for worker, other in zip_longest(self.workers, after):
            worker.start(other)
        if self.detector is not None:
            self._expire(self.detector)

    def record(self, on: bool) -> None:
        """Begin a recording, or end it when what was on its way has come."""
        assert self.recorder is not None
        pending = self._lingering is not None
        if on:
            if pending:  # its end has been said
                self._end_recording()
            self.recorder.record(True)
        elif not pending:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER, self._end_recording)

    def _end_recording(self) -> None:
        assert self.recorder is not None
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        self.recorder.record(False)

    def _expire(self, detector: TurnDetector) -> None:
        loop = asyncio.get_running_loop()
        self._expiring = loop.call_later(detector.expire(), self._expire, detector)

    def restart(self, **options: float) -> None:
        """Let the generators begin anew."""
        for worker in self._running:
            if isinstance(worker, GeneratorRuns):
                worker.restart(**options)

    @property
    def _running(self) -> list[Worker]:
        """The session's workers, or the shared run's."""
        return self.workers if self.watched is None else [self.watched]

    def keep(self) -> list[Worker | None]:
        """Before ``stop``: the workers whose instances stay, for those of a wiring to come."""
        return [worker if worker.keep() else None for worker in self.workers]

    def stop(self) -> None:
        """End all of it; returns at once."""
        for receiver in self.receivers:
            receiver.sink = None
        for timer in (self._lingering, self._expiring):
            if timer is not None:
                timer.cancel()
        for worker in self.workers:
            worker.stop()
        if self.recorder is not None:
            self.recorder.close()
        for sender in self.senders:
            sender.close_source()

    @property
    def has_begun(self) -> bool:
        """Whether a function has its first picture or sound, or a generator has given its first;
        for who watches, whether that has been sent.

        Who should send and does not counts as having begun after ``UNSENT`` seconds.
        """
        if self.receivers and not self.frames_in:
            return time.monotonic() - self._started > UNSENT
        if self.watched is not None and not self.receivers and self.senders:
            return any(sender.frames_sent for sender in self.senders)
        if self.recorder is not None or self.detector is not None:
            return True  # its function may be called late, or never
        return any(worker.has_begun for worker in self._running)

    def totals(self) -> tuple[float, int, int, int]:
        """Now, and since the beginning: frames in, frames out, bytes out."""
        video = [sender for sender in self.senders if isinstance(sender, VideoSender)]
        counted = video or self.senders
        frames = sum(sender.frames_sent for sender in counted)
        if not counted:
            frames = sum(worker.calls for worker in self._running)
        sent = sum(sender.bytes_sent for sender in self.senders)
        return time.monotonic(), self.frames_in, frames, sent

    def dropped(self) -> int:
        """Frames given up since the beginning, but for those of a shared run."""
        video = [sender for sender in self.senders if isinstance(sender, VideoSender)]
        given_up = sum(each.dropped for each in (*self.workers, *self.receivers))
        return given_up + sum(sender.slot.replaced for sender in video)

    def stats(
        self, seconds: float, frames_in: float, frames_out: float, sent: float
    ) -> messages.Stats:
        durations = [d for worker in self._running for d in list(worker.durations)]
        filters = [worker for worker in self._running if isinstance(worker, VideoFilter)]
        video = [sender for sender in self.senders if isinstance(sender, VideoSender)]
        dropped = self.dropped() + (0 if self.watched is None else self.watched.dropped)
        return messages.Stats(
            fps_in=round(frames_in / seconds, 1),
            fps_out=round(frames_out / seconds, 1),
            function_ms=round(statistics.median(durations) * 1000, 2) if durations else None,
            dropped=dropped,
            bitrate=round(sent * 8 / seconds),
            size_in=filters[0].size_in if filters else None,
            size_out=video[0].size if video else None,
            clock=self._reported(),
            stages=self.timeline.summary(),
        )

    def _reported(self) -> tuple[int, float] | None:
        """When a frame of the camera was captured, by the camera's clock."""
        for receiver in self.receivers:
            if isinstance(receiver, VideoReceiver) and receiver.clock.reported is not None:
                timestamp, seconds = receiver.clock.reported
                return timestamp, round(1000 * seconds, 1)
        return None
