"""Media encoded once, on a thread of its own, for all who are sent it."""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import av
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from .. import logs
from .bitrate import Bitrate
from .encoder import AudioEncoder, Encoded, VideoEncoder
from .slot import Closed, Slot
from .sound import SoundQueue
from .timeline import ENCODED, ENCODING, SENT, Timeline

logger = logging.getLogger(__name__)

KEYFRAME_INTERVAL = 0.2
"""Seconds between two keyframes that are asked for: each costs many times a usual frame."""
AT_MOST = 0.008
"""Seconds of encoding that the thread which has the picture does itself."""
SLICE = 0.002
"""Seconds at a time for which the event loop is held up by sending a frame to many."""
RETARGET_INTERVAL = 0.1
"""Seconds between two looks at what many viewers can take."""
SLOW, NO_LONGER = 0.5, 0.6
"""A viewer that can take less than this share of what the best one can is not waited for; from the
second on it is again."""
SLOW_KEYFRAMES = 2.0
"""Seconds between two keyframes for those who get nothing else."""
SLOW_FOR, TRIAL = 10.0, 4.0
"""Seconds after which such a viewer is sent everything again, and for how long on trial: what it
can take shows only when it is sent that much."""


class Viewer(Protocol):
    """Who is sent what is encoded; called on the event loop."""

    @property
    def target(self) -> int | None:
        """Bits a second that it can take, when that is known."""

    def deliver(self, encoded: Encoded, pts: int) -> None:
        """Send a frame. Raises ConnectionError."""

    def set_slow(self, slow: bool) -> None:
        """From now on it is sent keyframes only, for it can take too little; or no longer."""


class Encoding:
    """A daemon thread that encodes what comes, and hands it to ``viewers`` on the event loop.

    It encodes one frame while the last is being sent, and no more: nothing queues behind it.
    """

    def __init__(self, kind: str, loop: asyncio.AbstractEventLoop) -> None:
        self.viewers: list[Viewer] = []
        self.longest_slice = 0.0
        """Seconds of work that the event loop has done at once for sending, at most."""
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.ended = asyncio.Event()
        self._loop = loop
        self._sent = threading.Semaphore()
        self._thread = logs.thread(self._run, f"rtcstream-{kind}-encoder")

    def join(self, viewer: Viewer) -> None:
        """Send what is encoded to this viewer, too; the first one starts the thread."""
        self.viewers.append(viewer)
        self.start()

    def start(self) -> None:
        """Start the thread, if it has not been."""
        if self._thread.ident is None:
            self._thread.start()

    def leave(self, viewer: Viewer) -> None:
        """Send it no more."""
        if viewer in self.viewers:
            self.viewers.remove(viewer)

    def close(self) -> None:
        """End it; returns at once."""
        self._sent.release()  # a thread that waits for a loop which delivers no more

    def _encode_next(self) -> list[tuple[Encoded, int]]:
        """Wait for what comes next and encode it; with its ``pts``. Raises Closed."""
        raise NotImplementedError

    def _free(self) -> None:
        """Free the encoder, at the thread's end."""

    def _run(self) -> None:
        try:
            while True:
                for encoded, pts in self._encode_next():
                    self._sent.acquire()
                    self._hand_on(encoded, pts)
        except Closed:
            pass
        except RuntimeError:
            logger.debug("the event loop ended before the encoder")
        finally:
            self._free()
            with contextlib.suppress(RuntimeError):  # the loop has ended before
                self._loop.call_soon_threadsafe(self.ended.set)

    def _hand_on(self, encoded: Encoded, pts: int) -> None:
        """Have a frame sent. Raises RuntimeError when the event loop has ended."""
        self._loop.call_soon_threadsafe(self._deliver, encoded, pts)

    def _deliver(self, encoded: Encoded, pts: int, viewers: deque[Viewer] | None = None) -> None:
        viewers = deque(self.viewers) if viewers is None else viewers
        began = time.thread_time()  # not what other threads and programs take meanwhile
        while viewers and time.thread_time() < began + SLICE:
            viewer = viewers.popleft()
            try:
                viewer.deliver(encoded, pts)
            except ConnectionError as error:  # its connection has ended, or is about to
                logger.debug("a frame could not be sent: %s", error)
            except Exception:
                logger.exception("a frame could not be sent")
        self.longest_slice = max(self.longest_slice, time.thread_time() - began)
        if viewers:
            self._loop.call_soon(self._deliver, encoded, pts, viewers)
        else:
            self._sent.release()
            self._note_sent(pts)

    def _note_sent(self, pts: int) -> None:
        """A frame has gone to all viewers."""


class VideoEncoding(Encoding):
    """Encodes the newest picture of ``slot``."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        codec: RTCRtpCodecParameters,
        slot: Slot[av.VideoFrame],
        limits: Bitrate,
        hardware: bool = False,
        timeline: Timeline | None = None,
    ) -> None:
        super().__init__("video", loop)
        self._slot = slot
        self._encoder = VideoEncoder(codec, limits, hardware)
        self._timeline = timeline
        slot.serve = self._encode_here
        self._took = float("inf")  # making an encoder is for our own thread
        self._last: av.VideoFrame | None = None
        self._pts = 0
        self._keyframe_wanted = False
        self._keyframe_due = 0.0
        self._keyframe_timer: asyncio.TimerHandle | None = None
        self._slow_timer: asyncio.TimerHandle | None = None
        self._retarget_timer: asyncio.TimerHandle | None = None
        self._slow: dict[Viewer, float] = {}
        self._trials: dict[Viewer, float] = {}

    def close(self) -> None:
        self._slot.close()
        super().close()
        for timer in (self._keyframe_timer, self._slow_timer, self._retarget_timer):
            if timer is not None:
                timer.cancel()

    def join(self, viewer: Viewer) -> None:
        running = self._thread.ident is not None
        super().join(viewer)
        if running:  # the first frame of all is one anyway
            self.want_keyframe()

    @property
    def bitrate(self) -> int:
        """Bits a second that the encoder is asked for at present."""
        return self._encoder.bitrate

    def retarget(self) -> None:
        """A viewer's target has changed; with many, one look serves all that change meanwhile."""
        if len(self.viewers) <= 1:
            self._retarget()
        elif self._retarget_timer is None:
            self._retarget_timer = self._loop.call_later(RETARGET_INTERVAL, self._retarget)

    def _retarget(self) -> None:
        """Encode for the least target of the viewers, but for those far below the best, who get
        keyframes only. More than the encoder gives is no better."""
        self._retarget_timer = None
        now = self._loop.time()
        known = {viewer: viewer.target for viewer in self.viewers if viewer.target is not None}
        best = max(known.values(), default=None)
        if best is None:
            return
        best = min(best, self._encoder.most)
        enough = {
            viewer
            for viewer, target in known.items()
            if target >= (NO_LONGER if viewer in self._slow else SLOW) * best
        }
        self._encoder.target = min(known[viewer] for viewer in enough)
        for viewer in known:
            slow = viewer not in enough and self._trials.get(viewer, 0.0) < now
            if slow and viewer not in self._slow:
                self._slow[viewer] = now
                viewer.set_slow(True)
            elif viewer in enough and self._slow.pop(viewer, None) is not None:
                viewer.set_slow(False)
                self.want_keyframe()  # it goes on with one
        if self._slow and self._slow_timer is None:
            self._slow_timer = self._loop.call_later(SLOW_KEYFRAMES, self._serve_slow)

    def leave(self, viewer: Viewer) -> None:
        super().leave(viewer)
        self._slow.pop(viewer, None)
        self._trials.pop(viewer, None)
        self.retarget()  # what it could not take holds nobody back any more

    def _serve_slow(self) -> None:
        """A keyframe for those who get nothing else, and a trial for whoever has had that long."""
        self._slow_timer = None
        if not self._slow:
            return
        now = self._loop.time()
        for viewer, since in list(self._slow.items()):
            if now - since > SLOW_FOR:
                del self._slow[viewer]
                self._trials[viewer] = now + TRIAL
                viewer.set_slow(False)
        self.want_keyframe()
        self._slow_timer = self._loop.call_later(SLOW_KEYFRAMES, self._serve_slow)

    def want_keyframe(self) -> None:
        """A viewer has lost the picture: send a whole one, the last again if there is no newer.

        One answers all that is asked within ``KEYFRAME_INTERVAL``."""
        wait = self._keyframe_due - self._loop.time()
        if wait <= 0:
            self._make_keyframe()
        elif self._keyframe_timer is None:
            self._keyframe_timer = self._loop.call_later(wait, self._make_keyframe)

    def _make_keyframe(self) -> None:
        self._keyframe_timer = None
        self._keyframe_due = self._loop.time() + KEYFRAME_INTERVAL
        self._keyframe_wanted = True
        self._slot.nudge()

    def _encode_next(self) -> list[tuple[Encoded, int]]:
        return self._encode(self._slot.take())

    def _encode_here(self, picture: av.VideoFrame) -> bool:
        """Encode on the thread that gives the picture, while ours waits for one: not what takes
        long, nor while the last is still being sent. Raises Closed."""
        if self._took > AT_MOST or not self._sent.acquire(blocking=False):
            return False
        frames: list[tuple[Encoded, int]] = []
        try:
            frames = self._encode(picture)
            for encoded, pts in frames:
                self._hand_on(encoded, pts)
        except RuntimeError as error:
            raise Closed from error  # the event loop has ended
        finally:
            if not frames:
                self._sent.release()
        return True

    def _encode(self, newer: av.VideoFrame | None) -> list[tuple[Encoded, int]]:
        """Encode a picture, or the last once more."""
        if newer is not None:
            self._last, self._pts = newer, newer.pts or 0
        elif self._last is not None:
            # A keyframe is wanted, and nothing new has come: the same picture once more, one tick
            # later, so that the receiver takes it for a new one.
            self._pts += 1
        else:
            return []
        if not self.viewers:  # the next to join asks for a keyframe
            return []
        pts, keyframe = self._pts, self._keyframe_wanted
        if keyframe:  # not to lose a wish that comes between reading and clearing
            self._keyframe_wanted = False
        if self._timeline is not None:
            self._timeline.mark(pts, ENCODING)
        began = time.monotonic()
        try:
            encoded = self._encoder.encode(self._last, pts, keyframe)
            self._took = time.monotonic() - began
        except Exception as error:
            encoded = None
            self.on_error(error)
        if encoded is None:
            if keyframe:
                self._keyframe_wanted = True
            return []
        if self._timeline is not None:
            self._timeline.mark(pts, ENCODED)
        return [(encoded, pts)]

    def _note_sent(self, pts: int) -> None:
        if self._timeline is not None:
            self._timeline.mark(pts, SENT)

    def _free(self) -> None:
        self._encoder.close()


class AudioEncoding(Encoding):
    """Encodes all of ``queue``, in order."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, codec: RTCRtpCodecParameters, queue: SoundQueue
    ) -> None:
        super().__init__("audio", loop)
        self._queue = queue
        self._codec = codec
        self._encoder: AudioEncoder | None = None

    def close(self) -> None:
        self._queue.close()
        super().close()

    def _encode_next(self) -> list[tuple[Encoded, int]]:
        frame = self._queue.take()
        if not self.viewers:  # its time passes all the same
            return []
        pts = frame.pts or 0
        try:
            if self._encoder is None:
                self._encoder = AudioEncoder(self._codec)
            return [(encoded, pts) for encoded in self._encoder.encode(frame)]
        except Exception as error:
            self._encoder = None  # the next frame gets a new one
            self.on_error(error)
            return []
