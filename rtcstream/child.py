"""What runs in a worker process: one function of one session, as ``isolation`` asks for it.

Three threads: the main one makes the calls, one reads what the server says meanwhile, and one has
the event loop that coroutines run on. Nobody imports this; it is started by its name.
"""

import asyncio
import contextlib
import faulthandler
import fcntl
import importlib
import importlib.util
import logging
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent import futures
from multiprocessing import spawn
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import media, messages, signature
from .calls import Call, describe_error
from .child_session import ChildSession, Server
from .errors import CommandError, LoadingFailed, MessageError, ResultError
from .outcomes import Outcome, Outcomes
from .pipes import Memory, Message, Pipe, aligned, planes_size
from .server import loading
from .signature import Signature
from .takes import Recording, Utterance, VideoRecording
from .types import Live, Peer


def main(calls: int, events: int, lifeline: int, memory: int) -> None:
    """Serve until the server ends it, or is gone; the arguments are descriptors."""
    faulthandler.enable(all_threads=False)
    _die_with(lifeline)
    media.leave_room()
    server = Server(Pipe(socket.socket(fileno=events)))
    worker = ChildWorker(Pipe(socket.socket(fileno=calls)), server, Memory(memory))
    threading.Thread(target=server.read, args=(worker.command,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        worker.serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads that the function has left behind do not hold it


def _die_with(lifeline: int) -> None:
    """Let the kernel end this process when the server is gone, whatever a call does then."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # which ends it
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    gone = select.poll()
    gone.register(lifeline, 0)
    if gone.poll(0):  # before that was asked for
        os._exit(0)


class PlacedOutcomes(Outcomes):
    """Outcomes whose picture goes into the shared memory instead of into a frame."""

    def __init__(self, signature: Signature, memory: Memory) -> None:
        super().__init__(signature)
        self._channels = signature.out.picture
        self._memory = memory

    def _frame(self, image: Any) -> "_Placed":
        assert self._channels is not None and self._channels != "frame"
        colour = media.to_colour(image, self._channels)
        picture = _Placed(colour.shape[1], colour.shape[0])
        media.to_planes(
            colour,
            self._memory.planes(0, picture.width, picture.height, room=True),
            self._channels,
        )
        return picture


class _Placed:
    """A picture that lies at the beginning of the memory."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height


class ChildWorker:
    """Answers the server's requests, one after another."""

    def __init__(self, pipe: Pipe, server: Server, memory: Memory) -> None:
        self._pipe = pipe
        self._server = server
        self._memory = memory
        self._call: Call | None = None
        self._live: dict[str, Live[Any]] = {}
        self._live_number = 0
        self._items: Any = None
        self._take: Any = None
        self._run = self._interrupted = 0
        self._lock = threading.Lock()
        self._ended = False

    def serve(self) -> None:
        """Raises EOFError or OSError when the server is gone; returns at the end."""
        do: dict[str, Callable[[Message], Message]] = {
            "load": self._load,
            "open": self._open,
            "picture": self._of_picture,
            "sound": self._of_sound,
            "generate": self._generate,
            "next": self._next,
            "stop": self._stop,
            "close": self._close,
        }
        while not self._ended:
            request = self._pipe.receive()
            try:
                reply = do[request["do"]](request)
            except BaseException as error:  # of the function, whatever it is: the process goes on
                reply = {"error": self._described(error)}
            self._pipe.send(reply)

    def command(self, message: Message) -> None:
        """What the server says while a call runs; on the thread that reads."""
        call = self._call
        match message["do"]:
            case "cancel" if call is not None:
                call.cancel()
            case "interrupt" if call is not None:
                with self._lock:
                    self._interrupted = max(self._interrupted, message["run"])
                    if self._interrupted == self._run:
                        call.interrupt()
            case "live":
                self._set_live(message["live"])

    def _load(self, request: Message) -> Message:
        logging.basicConfig(
            format="%(levelname)s %(name)s: %(message)s", level=request["log_level"]
        )
        token = loading.set(True)
        try:
            spawn.prepare(request["preparation"])
            target = _find(request["module"], request["name"], request["file"])
        finally:
            loading.reset(token)
        self._signature = signature.read(target)
        return {}

    def _open(self, request: Message) -> Message:
        peer = Peer(request["address"], request["headers"])
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        session = ChildSession(request["id"], peer, self._server)
        outcomes = PlacedOutcomes(self._signature, self._memory)
        call = Call(self._signature, session, loop, threading.Lock(), outcomes=outcomes)
        self._live = {c.name: Live(c.default) for c in self._signature.controls if c.live}
        call.open()
        self._call = call
        return {}

    @property
    def _opened(self) -> Call:
        assert self._call is not None
        return self._call

    def _values(self, request: Message) -> dict[str, Any]:
        """The values of a request as the function takes them."""
        values = request["values"]
        self._set_live(request)
        return {
            control.name: self._live[control.name]
            if control.live
            else control.unpack(values[control.name])
            for control in self._signature.controls
        }

    def _set_live(self, message: Message) -> None:
        """Take the values of ``Live`` controls, unless newer ones have come by the other way."""
        with self._lock:
            if message["number"] < self._live_number:
                return
            self._live_number = message["number"]
            for control in self._signature.controls:
                if control.live:
                    self._live[control.name].value = control.unpack(message["values"][control.name])

    def _of_picture(self, request: Message) -> Message:
        width, height = request["size"]
        channels = self._signature.picture_in
        assert channels is not None and channels != "frame"
        image = media.from_planes(self._memory.planes(0, width, height), width, channels)
        return self._outcome(self._opened.of_image(image, (width, height), self._values(request)))

    def _of_sound(self, request: Message) -> Message:
        block = self._memory.array(0, tuple(request["shape"]), np.float32).copy()
        return self._outcome(self._opened.of_sound(block, self._values(request)))

    def _generate(self, request: Message) -> Message:
        call = self._opened
        self._take = self._taken(request["take"])
        with self._lock:
            self._run = request["run"]
            call.resume()
            if self._interrupted >= self._run:
                call.interrupt()
        self._items = call.generate(self._take, self._values(request))
        return {}

    def _taken(self, take: Message | None) -> Any:
        if take is None:
            return None
        if "path" in take:
            return VideoRecording(Path(take["path"]), take["seconds"], delete=lambda: None)
        samples = self._memory.array(0, tuple(take["shape"]), np.float32).copy()
        kind = Utterance if take["turn"] else Recording
        return kind(samples, take["rate"], Path(take["folder"]))

    def _next(self, request: Message) -> Message:
        if request["live"] is not None:
            self._set_live(request["live"])
        item = next(self._items, None)
        if item is None:
            return {"end": True}
        if isinstance(item, ResultError):
            return {"wrong": str(item)}
        return self._outcome(item)

    def _stop(self, request: Message) -> Message:
        items, self._items = self._items, None
        try:
            if items is not None:
                items.close()
        finally:
            if self._take is not None:
                self._take.delete()
                self._take = None
        return {}

    def _close(self, request: Message) -> Message:
        self._ended = True
        if self._call is not None:
            self._call.close()
        return {}

    def _outcome(self, outcome: Outcome) -> Message:
        """An outcome for the server, its media in the memory."""
        message: Message = {"clipped": self._opened.clipped}
        at = 0
        if outcome.picture is not None:
            width, height = outcome.picture.width, outcome.picture.height
            message["picture"] = [width, height]
            at = aligned(planes_size(width, height))
        if outcome.sound is not None:
            message["sound"] = [at, len(outcome.sound)]
            self._memory.room(at, outcome.sound.shape, np.int16)[...] = outcome.sound
        if isinstance(outcome.chunk, str | os.PathLike):
            message["path"] = os.path.abspath(os.fsdecode(outcome.chunk))
        elif outcome.chunk is not None:
            chunk = np.frombuffer(outcome.chunk, np.uint8)
            message["chunk"] = len(chunk)
            self._memory.room(0, chunk.shape)[...] = chunk
        if outcome.results:
            message["results"] = [each for each in outcome.results if self._fits(*each)]
        return message

    def _fits(self, name: str | None, data: Any) -> bool:
        """Whether a result can be sent to the page; says so if not."""
        try:
            messages.encode(messages.Result(None, 0, name, data))
        except MessageError as error:
            self._server.tell("error", text=f"a result cannot be sent: {error}")
            return False
        return True

    def _described(self, error: BaseException) -> Message:
        if isinstance(error, ResultError):
            return {"kind": "result", "text": str(error)}
        if isinstance(error, LoadingFailed):
            return {"kind": "failed", "text": str(error)}
        if isinstance(error, asyncio.CancelledError | futures.CancelledError):
            return {"kind": "cancelled", "text": ""}
        if not hasattr(self, "_signature"):
            words = f"it cannot be loaded in a worker process: {type(error).__name__}: {error}"
            if isinstance(error, CommandError):
                words = (
                    "a worker process loads the program, which serves then: put its last line, "
                    'such as `stream.run()`, under `if __name__ == "__main__":`'
                )
            return {"kind": "load", "text": words, "trace": _trace(error)}
        text = describe_error(error, self._signature)
        same = f"{type(error).__name__} {text.rpartition(' (')[2]}"
        return {"kind": "raised", "text": text, "same": same, "trace": _trace(error)}


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-20_000:]


def _find(module: str, name: str, file: str) -> Any:
    """The function or class that was given to the ``Stream``, from its module imported anew."""
    found: Any = sys.modules["__main__"] if module == "__main__" else _import(module, file)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _import(name: str, file: str) -> ModuleType:
    """The module, as the server has it: of the same file, though another has its name here."""
    if importlib.util.find_spec(name) is not None:
        module = importlib.import_module(name)
        if os.path.samefile(module.__file__ or os.devnull, file):
            return module
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
