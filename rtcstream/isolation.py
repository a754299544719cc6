"""A function in a worker process of its session's own: called like one that is here.

Pictures and sound go through memory that both have, small messages about them over one socket,
call by call, from the session's worker thread. Over another goes what is said meanwhile: what the
function does with its ``Session``, and that a call is to end; the event loop reads that one.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Generator
from typing import Any

import av
import numpy as np

from . import media
from .controls import Control
from .errors import LoadingFailed, ResultError, SessionClosed
from .faults import BackOff, Faults, WorkerError, WorkerLost
from .outcomes import Outcome, Results
from .pipes import Message
from .signature import Signature
from .takes import Recording, VideoRecording
from .types import Live
from .worker_events import Events, Owner
from .worker_process import POLL, Spares, WorkerProcess, check

CALL_GRACE = 0.4
"""Seconds from the session's end that a call has to return, before its process is ended."""
LOADS = 3
"""Processes that may die while a function is made ready, before that is given up."""
CLOSE_GRACE = 5.0
"""Seconds that a class's ``close()`` may take in a worker process."""
EXIT_GRACE = 0.5
"""Seconds from there until the process has exited."""
LIVE_POLL = 0.02
"""Seconds after which a ``Live`` control that changes is seen by a generator that runs."""


class RemoteCall:
    """The function of one session in a worker process, ready to be called: as ``Call`` is.

    A process that dies loses the call that runs, which raises WorkerLost; the next call waits for
    another process. When the session ends, a call that does not return is ended with its process.
    """

    outlives_session = False

    def __init__(
        self,
        signature: Signature,
        session: Owner,
        loop: asyncio.AbstractEventLoop,
        spares: Spares,
        faults: Faults,
    ) -> None:
        self.signature = signature
        self.clipped = 0
        self.starting = False
        """Whether a call waits for a worker process rather than for the function."""
        self._session = session
        self._loop = loop
        self._spares = spares
        self._faults = faults
        self._controls: dict[str, Control] = {c.name: c for c in signature.controls}
        self._live: dict[str, Live[Any]] = {}
        self._told_live: dict[str, Any] = {}
        self._live_number = 0
        self._back_off = BackOff()
        self._events: Events | None = None
        self._worker: WorkerProcess | None = None
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._cancelled_at = 0.0
        self._interrupted = False
        self._run = 0
        self.opened = False
        self._clipped_before = 0
        self._ended: list[tuple[WorkerProcess, Events | None]] = []

    # What a worker thread does with a call

    @property
    def keeps_instance(self) -> bool:
        return False  # it is in a process that ends with the session

    def open(self) -> None:
        """Have a process ready, with the class built. Raises what its constructor does, and
        WorkerError when processes keep dying of it."""
        for _ in range(LOADS):
            with contextlib.suppress(WorkerLost):  # it has been told
                self._ensure()
                return
        raise WorkerError(
            f"{self.signature.name}(): its worker process died {LOADS} times in a row while it was "
            "made ready"
        )

    def of_picture(self, frame: av.VideoFrame, values: dict[str, Any]) -> Outcome:
        """Call the function with a picture; raises WorkerError, ResultError or WorkerLost."""
        worker, started = self._ensure()
        if started:
            return Outcome()  # by now there is a newer picture
        frame = media.to_yuv420p(frame)
        width, height = frame.width, frame.height
        targets = worker.memory.planes(0, width, height, room=True)
        for target, source in zip(targets, media.planes(frame), strict=True):
            target[...] = source
        request = {"do": "picture", "size": [width, height], **self._told(values)}
        return self._outcome(worker, self._ask(worker, request))

    def of_sound(self, block: Any, values: dict[str, Any]) -> Outcome:
        """Call the function with a block of sound; raises the same."""
        worker, _ = self._ensure()
        worker.memory.room(0, block.shape, np.float32)[...] = block
        request = {"do": "sound", "shape": block.shape, **self._told(values)}
        return self._outcome(worker, self._ask(worker, request))

    def generate(
        self, given: Recording | VideoRecording | None, values: dict[str, Any]
    ) -> Generator[Outcome | ResultError, None, None]:
        """Run the generator, or call the function once, as ``Call.generate`` does."""
        worker, _ = self._ensure()
        self._run += 1
        if self._interrupted:
            self._command({"do": "interrupt", "run": self._run})
        request = {"do": "generate", "run": self._run, **self._told(values)}
        self._ask(worker, {**request, "take": self._taken(worker, given)})
        try:
            while True:
                reply = self._ask(worker, {"do": "next", "live": self._changed_live()})
                if "end" in reply:
                    return
                if "wrong" in reply:
                    yield ResultError(str(reply["wrong"]))
                else:
                    yield self._outcome(worker, reply)
        finally:
            self._live = self._told_live = {}
            self._ask(worker, {"do": "stop"})

    def cancel(self) -> None:
        """The session has ended: a call that runs has ``CALL_GRACE`` to return; from any thread."""
        self._cancelled_at = time.monotonic()
        self._cancelled.set()
        self._command({"do": "cancel"})

    def interrupt(self) -> None:
        """The run is over: a coroutine is cancelled, until ``resume``; from any thread."""
        self._interrupted = True
        self._command({"do": "interrupt", "run": self._run})

    def resume(self) -> None:
        """Another run begins."""
        self._interrupted = False

    def close(self) -> None:
        """End the process, after the class's ``close()``; raises what that does."""
        worker = self._give_up()
        try:
            if worker is not None and worker.loaded:
                with contextlib.suppress(OSError, EOFError):
                    worker.pipe.send({"do": "close"})
                    if worker.pipe.wait(CLOSE_GRACE):
                        _check(worker.pipe.receive())
                worker.end(EXIT_GRACE)
        finally:
            if worker is not None:
                worker.kill()
            self._release()

    # Requests, and what comes of them

    def _ensure(self) -> tuple[WorkerProcess, bool]:
        """A worker process with the function opened; and whether it had to be started.

        Raises what the class's constructor does, WorkerLost, or SessionClosed.
        """
        if self._worker is not None:
            return self._worker, False
        self._release()
        self.starting = True
        try:
            if self._cancelled.wait(self._back_off.wait):
                raise SessionClosed("the session has ended")
            self._session.on_state("loading")
            self._back_off.note_start()
            worker = self._spares.take()
            end = worker.events
            events = Events(end, self._loop, self._session, lambda: self._died(worker))
            with self._lock:
                self._worker, self._events = worker, events
            try:
                worker.load(wanted=lambda: not self._cancelled.is_set())
            except (OSError, EOFError):
                self._lost(worker)
                raise WorkerLost from None
            self.starting = False  # from here on it is the function that takes its time
            peer = self._session.peer
            about = {"address": peer.address, "headers": dict(peer.headers)}
            self._ask(worker, {"do": "open", "id": self._session.id, **about})
        except WorkerError:
            self._back_off.note_death()
            self.close()
            raise
        finally:
            self.starting = False
        if self.opened:
            self._session.on_state("running")
        self.opened = True
        return worker, True

    def _ask(self, worker: WorkerProcess, request: Message) -> Message:
        """Make a request, and wait for its reply. Raises what the function does, or WorkerLost."""
        try:
            worker.pipe.send(request)
            while not worker.pipe.wait(LIVE_POLL if self._live else POLL):
                if (changed := self._changed_live()) is not None:
                    self._command({"do": "live", "live": changed})
                if (
                    self._cancelled.is_set()
                    and time.monotonic() - self._cancelled_at > CALL_GRACE
                    and (given_up := self._give_up()) is not None
                ):
                    given_up.end(grace=0.0)
                    raise SessionClosed("the session ended, and the function did not return")
            reply = worker.pipe.receive()
        except (OSError, EOFError):
            self._lost(worker)
            raise WorkerLost from None
        _check(reply)
        return reply

    def _told(self, values: dict[str, Any]) -> Message:
        """The values for a request."""
        self._live = {name: v for name, v in values.items() if isinstance(v, Live)}
        plain = {n: v.value if isinstance(v, Live) else v for n, v in values.items()}
        self._told_live = {name: plain[name] for name in self._live}
        self._live_number += 1
        return {"values": self._in_json(plain), "number": self._live_number}

    def _changed_live(self) -> Message | None:
        """The ``Live`` controls, if one has changed since they were last told; numbered, since
        what is told over two sockets may overtake itself."""
        now = {name: live.value for name, live in self._live.items()}
        if now == self._told_live:
            return None
        self._told_live = now
        self._live_number += 1
        return {"values": self._in_json(now), "number": self._live_number}

    def _in_json(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: self._controls[name].pack(value) for name, value in values.items()}

    def _taken(
        self, worker: WorkerProcess, take: Recording | VideoRecording | None
    ) -> Message | None:
        if take is None:
            return None
        if isinstance(take, VideoRecording):
            return {"path": str(take.path), "seconds": take.seconds}
        samples = take.samples
        worker.memory.room(0, samples.shape, np.float32)[...] = samples
        found = self.signature.take_in
        turn = found is not None and found.turn is not None
        described = {"shape": samples.shape, "rate": take.rate, "turn": turn}
        return {**described, "folder": str(take.folder)}

    def _outcome(self, worker: WorkerProcess, reply: Message) -> Outcome:
        """What a call gave, copied out of the memory; what makes no sense is the process's end."""
        try:
            return self._read(worker, reply)
        except (EOFError, KeyError, TypeError, ValueError):
            self._lost(worker)
            raise WorkerLost from None

    def _read(self, worker: WorkerProcess, reply: Message) -> Outcome:
        memory = worker.memory
        picture = sound = chunk = None
        if "picture" in reply:
            width, height = reply["picture"]
            if not all(media.SMALLEST <= length <= media.LARGEST for length in (width, height)):
                raise ValueError("no size of a picture")
            picture = av.VideoFrame(width, height, "yuv420p")
            for target, source in zip(
                media.planes(picture), memory.planes(0, width, height), strict=True
            ):
                target[...] = source
        if "sound" in reply:
            at, count = reply["sound"]
            sound = memory.array(at, (count, 2), np.int16).copy()
        if "chunk" in reply:
            chunk = memory.array(0, (reply["chunk"],)).tobytes()
        if not isinstance(reply.get("path", ""), str):
            raise ValueError("no path")
        self.clipped = self._clipped_before + int(reply["clipped"])
        results: Results = tuple((name, data) for name, data in reply.get("results", ()))
        return Outcome(picture, sound, chunk if chunk is not None else reply.get("path"), results)

    # The process's end

    def _died(self, worker: WorkerProcess) -> None:
        """The process has ended, or says nonsense: on the event loop, which must not wait."""
        if self._worker is worker:  # or else it was told to
            threading.Thread(target=self._lost, args=(worker,), daemon=True).start()

    def _give_up(self, only: WorkerProcess | None = None) -> WorkerProcess | None:
        """The worker process, which is no longer this call's: whoever gets it ends it."""
        with self._lock:
            worker = self._worker
            if worker is None or only not in (None, worker):
                return None
            self._worker = None
            self._ended.append((worker, self._events))
            self._events = None
            return worker

    def _lost(self, worker: WorkerProcess) -> None:
        """End a process that ended unasked, and say so, unless that is known."""
        if self._give_up(only=worker) is None:
            return
        self._clipped_before = self.clipped
        status = worker.end(grace=0.1, term=0.0)
        self._faults.count(worker_deaths=1)
        self._back_off.note_death()
        if self._cancelled.is_set():
            return
        text = f"the worker process died ({_how(status)}); it is started anew"
        if self._back_off.quick >= BackOff.PATIENCE:
            text += (
                f", but after {self._back_off.quick} quick deaths in a row at the soonest "
                f"{self._back_off.interval:g} seconds after its last start"
            )
        self._session.error(f"{self.signature.name}(): {text}")

    def _release(self) -> None:
        """Give back what processes took here that have ended; on the worker thread, which alone
        waits for them."""
        with self._lock:
            ended, self._ended = self._ended, []
        for worker, events in ended:
            worker.kill()  # or wait until whoever ends it has done so
            worker.release()
            if events is not None:
                events.close()

    def _command(self, message: Message) -> None:
        events = self._events
        if events is not None:
            events.send(message)


def _check(reply: Message) -> None:
    """Raises what the function has."""
    kind = reply.get("error", {}).get("kind")
    if kind == "result":
        raise ResultError(str(reply["error"]["text"]))
    if kind == "failed":
        raise LoadingFailed(str(reply["error"]["text"]))
    if kind == "cancelled":
        raise asyncio.CancelledError
    check(reply)


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return f"signal {-status}"
