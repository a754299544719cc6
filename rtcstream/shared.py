"""One run of a function for all who watch: a generator, or one publisher's camera, filtered."""

import asyncio
import functools
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from . import logs, messages
from .controls import Control, Values
from .errors import NegotiationError
from .generators import GeneratorRuns
from .host import CLOSE_TIMEOUT, Host
from .messages import ServerMessage
from .options import MediaOptions
from .playout import Playout
from .runner import Runner
from .signature import Signature
from .tracks import AudioFilter, VideoFilter
from .transport.broadcast import Broadcast
from .transport.receiver import VideoReceiver
from .transport.sound import PacedQueue, SteadyQueue
from .types import Peer
from .uploads import Quota, Uploads
from .wiring import GENERATOR_FPS, NothingToView, Wiring
from .worker import Worker

logger = logging.getLogger("rtcstream.session")

TELL_INTERVAL = 0.03
"""Seconds between two messages to all of what controls have become."""


class SourceTaken(NegotiationError):
    """An offer to send to a run that has its source."""


class RunOver(NegotiationError):
    """The run has ended while its session was negotiated; there may be another."""


class Member(Protocol):
    """A session of a shared run."""

    id: str

    def post(self, message: ServerMessage) -> None:
        """Send its page a message; from any thread."""

    def end_soon(self, reason: str) -> None:
        """Begin to end it."""


class SharedRun(Host):
    """A function that runs once, and whose pictures, sound, results and words go to all members.

    A generator runs while anybody watches. A filter's first member that sends is its source: when
    that one leaves, it is over for all. The controls are everybody's: whoever sets one sets it for
    all, and all see it.
    """

    def __init__(
        self,
        signature: Signature,
        controls: Sequence[Control],
        options: MediaOptions,
        runner: Runner,
        on_end: Callable[[], None],
        quota: Quota | None = None,
    ) -> None:
        super().__init__("shared", Peer(None, {}), asyncio.get_running_loop(), runner)
        self.signature = signature
        self.values = Values(controls)
        self.broadcast = Broadcast(options.bitrate, options.hardware, self.on_encoder_error)
        self.worker: Worker | None = None
        self.members: tuple[Member, ...] = ()
        self.uploads = Uploads(quota)
        self.source: Member | None = None
        self._options = options
        self._on_end = on_end
        self._ticking: asyncio.Task[None] | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._setter: Member | None = None
        self._entered = 0
        self._over = False
        self._state: ServerMessage = messages.State("waiting")
        self._results: dict[str | None, ServerMessage] = {}

    def first(self, parameters: Mapping[str, str]) -> None:
        """Who begins the run may set its controls. Raises ControlError."""
        if not self.members:
            self.values.first(parameters)

    def enter(self) -> None:
        """A session is to be negotiated: the run stays until it has left."""
        self._entered += 1

    def check(self) -> None:
        """Raises RunOver once it has ended."""
        if self._over:
            raise RunOver("the stream has just ended: try again")

    def join(self, member: Member, wiring: Wiring) -> None:
        """Wire a session that has been offered: as the source, or to watch.

        Raises NegotiationError: RunOver, SourceTaken, NothingToView, or of the offer.
        """
        self.check()
        kinds = self.signature.inputs
        sends = any(wiring.is_sent(kind) for kind in kinds)
        if kinds and not sends and self.source is None:
            raise NothingToView(
                f"nobody is sending yet: try again in a while, or offer to send {kinds[0]}"
            )
        if sends and self.source is not None:
            raise SourceTaken(
                "the stream has its source already; offer to receive only to watch it"
            )
        if sends:
            self.source = member
        if self.worker is None:
            with logs.about(self.id):
                self.worker = self._make_worker(wiring)
        if not self._watch(member, wiring) and not sends and not self.signature.out.results:
            raise NegotiationError("the offer takes nothing of what the stream gives")
        wiring.watched, wiring.timeline = self.worker, self.broadcast.timeline
        self.members = (*self.members, member)

    def _watch(self, member: Member, wiring: Wiring) -> bool:
        """Let a member's senders send what is broadcast; whether there are any."""
        # Sound is encoded in Opus only: of the one queue, which is emptied once.
        codecs = {"audio": "opus"}
        kinds = self.signature.out.kinds
        senders = [wiring.send(kind, None, codecs.get(kind)) for kind in kinds]
        for sender in senders:
            if sender is not None:
                sender.broadcast = self.broadcast
                sender.clock = self.broadcast.clocks[sender.kind]
                sender.on_slow = functools.partial(_say_slow, member)
        return any(senders)

    def _make_worker(self, wiring: Wiring) -> Worker:
        """What runs the function; a filter's takes what the source sends."""
        call = self._runner.call(self.signature, self, self._event_loop)
        signature, broadcast = self.signature, self.broadcast
        if signature.picture_in is not None:
            camera = wiring.receive("video")
            broadcast.clocks["video"] = camera.clock
            outlet = broadcast.pictures if signature.out.picture else None
            fps = self._options.max_fps
            filtering = VideoFilter(call, self.values, outlet, self, fps)
            assert isinstance(camera, VideoReceiver)
            camera.timeline = filtering.timeline = broadcast.timeline
            camera.sink = wiring.counted(filtering.inbox.put)
            return filtering
        if signature.sound_in is not None:
            microphone = wiring.receive("audio")
            broadcast.clocks["audio"] = microphone.clock
            queue = None
            if signature.out.sound:  # or else nobody would take what is in it
                queue = broadcast.sound = SteadyQueue()
            listening = AudioFilter(call, self.values, queue, self)
            microphone.sink = wiring.counted(listening.inbox.put)
            return listening
        paced = broadcast.sound = PacedQueue(origin=random.getrandbits(31))
        paced.clock = broadcast.clocks["audio"]
        fps = self._options.max_fps or GENERATOR_FPS
        playout = Playout(broadcast.pictures, paced, broadcast.clocks["video"], fps)
        return GeneratorRuns(call, self.values, playout, self)

    def played(self) -> float:
        return 0.0 if self.worker is None else self.worker.played

    def begin(self, member: Member) -> None:
        """A member's connection is there."""
        started = self._ticking is not None
        if self.worker is not None and not started and self.source in (None, member):
            self._ticking = self._event_loop.create_task(self._tick())
            self.worker.start()
            if self.signature.out.sound:
                self.broadcast.start_sound()
        elif started:  # what there is to see already
            for message in (self._state, *self._results.values()):
                member.post(message)

    def leave(self, member: Member) -> None:
        """A session that had entered has gone, whether it had joined or not."""
        self._entered -= 1
        self.members = tuple(each for each in self.members if each is not member)
        self.values.forget(member.id)
        if member is self.source:
            self.end_soon("the source has stopped")
        elif not self._entered:
            self.end_soon("nobody watches any more")

    def changed(self, setter: Member | None) -> None:
        """A member has set a control, and knows already unless it is None: the others are shown
        its value, soon; a slider that is moved must not be a message to everybody for each of its
        steps."""
        self._setter = setter
        if self._telling is None and not self._over:
            self._telling = self._event_loop.call_later(TELL_INTERVAL, self._tell_values)

    def _tell_values(self) -> None:
        self._telling = None
        message = messages.Controls(None, self.values.to_json(), self.values.revision)
        for member in self.members:
            if member is not self._setter:  # whose acknowledgement had them
                member.post(message)

    def end_soon(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._on_end()
        for task in (self._ticking, self._telling):
            if task is not None:
                task.cancel()
        if self.worker is not None:
            self.worker.stop()
            self._event_loop.call_later(CLOSE_TIMEOUT, self.note_abandoned, self.worker)
        self.broadcast.close()
        self._deleting = self._event_loop.create_task(self.uploads.close())
        for member in self.members:
            member.end_soon(reason)

    def _post(self, message: ServerMessage) -> None:
        if isinstance(message, messages.State):
            self._state = message
        elif isinstance(message, messages.Result):
            self._results[message.name] = message
        for member in self.members:
            member.post(message)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._stats = {
                "viewers": len(self.members),
                "stages": self.broadcast.timeline.summary(),
            }
            self._say_repeats()
            self._say_hanging([] if self.worker is None else [self.worker])


def _say_slow(member: Member, slow: bool) -> None:
    """Tell a page why its pictures stutter, and when they no longer need to."""
    text = "your network takes less than the others': you see a picture every few seconds"
    if not slow:
        text = "trying to send you every picture again"
    member.post(messages.Log("warning" if slow else "info", text))
