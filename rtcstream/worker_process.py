"""One worker process: started, asked, ended; and a spare one that is ready before it is needed."""

import atexit
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import spawn
from pathlib import Path
from typing import Any

from .errors import SessionClosed, SignatureError
from .faults import Faults, WorkerError
from .pipes import Memory, Message, Pipe
from .signature import Signature

logger = logging.getLogger("rtcstream.worker")

START_TIMEOUT = 120.0
"""Seconds that a program may take to be imported."""
READ_TIMEOUT = 2.0
"""Seconds in which the rest of a message comes, once it has begun."""
POLL = 0.1
"""Seconds between two looks at whether a wait is still wanted."""
TERM_GRACE = 0.3
"""Seconds from SIGTERM to SIGKILL."""
EXIT_GRACE = 1.0
"""Seconds that workers have to end by themselves when the interpreter exits."""

_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from rtcstream.child import main; main(*map(int, sys.argv[2:]))"
)

_alive: "set[WorkerProcess]" = set()
_keepers: "weakref.WeakSet[Spares]" = weakref.WeakSet()


@dataclass(frozen=True)
class Target:
    """Where a worker process finds the function or class: its module, name in there, and file."""

    module: str
    name: str
    file: str

    @classmethod
    def of(cls, signature: Signature) -> "Target":
        """Raises SignatureError for what another process cannot find, or take its media."""
        if sys.platform != "linux":
            raise SignatureError(signature.name, None, 'isolation="process" needs Linux')
        _check_media(signature)
        target: Any = signature.target
        if signature.kind == "instance":
            raise SignatureError(
                signature.name,
                None,
                "an instance is shared by all sessions, and processes share nothing; give the "
                'Stream its class, which each session builds, or leave out isolation="process"',
            )
        module = sys.modules.get(getattr(target, "__module__", None) or "")
        name = getattr(target, "__qualname__", "")
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
        if module is None or found is not target:
            raise SignatureError(
                signature.name,
                None,
                f"a worker process cannot find it as {name!r} in its module; write it at the top "
                "level of a file, as a `def` or `class` that keeps its name (no lambda, no "
                "function in a function, no partial), above `Stream(...)`",
            )
        file = getattr(module, "__file__", None)
        if file is None:
            raise SignatureError(
                signature.name, None, "a worker process needs a file to import; write it in one"
            )
        return cls(module.__name__, name, os.path.abspath(file))


def _check_media(signature: Signature) -> None:
    if "frame" in (signature.picture_in, signature.out.picture):
        raise SignatureError(
            signature.name, None, "a worker process takes and gives `Image`, not av.VideoFrame"
        )
    sounds = (signature.sound_in, signature.out.sound)
    if any(sound is not None and sound.raw for sound in sounds):
        raise SignatureError(
            signature.name, None, "a worker process takes and gives `Samples`, not av.AudioFrame"
        )


class WorkerProcess:
    """A process that has loaded a function, or is about to.

    ``pipe`` and ``memory`` are for calls, one at a time; ``events``, which whoever takes it closes,
    is for all else. Its methods are one thread's, but for ``end`` and ``kill``.
    """

    def __init__(self, target: Target) -> None:
        self.started = time.monotonic()
        self.memory = Memory()
        mine, calls = socket.socketpair()
        self.events, events = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self.pipe = Pipe(mine, READ_TIMEOUT)
        self.events.setblocking(False)
        passed = (calls.fileno(), events.fileno(), lifeline, self.memory.descriptor)
        preparation = _preparation(target)
        self.loaded = False
        self._reaping = threading.Lock()
        self._released = False
        try:
            self.process = subprocess.Popen(
                [
                    *(spawn.get_executable(), "-P", "-c", _CHILD),
                    *(json.dumps(preparation["sys_path"]), *map(str, passed)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                start_new_session=True,  # Ctrl-C is the server's; and its own processes end with it
            )
            _alive.add(self)
        except BaseException:
            self.release()
            self.events.close()
            raise
        finally:
            calls.close()
            events.close()
            os.close(lifeline)
        request: Message = {
            "do": "load",
            "preparation": preparation,
            "module": target.module,
            "name": target.name,
            "file": target.file,
            "log_level": logging.getLogger().getEffectiveLevel(),
        }
        with contextlib.suppress(OSError):  # it is dead already, which is seen later
            self.pipe.send(request)

    def load(self, wanted: Callable[[], bool]) -> None:
        """Wait until it can be used. Raises WorkerError when it cannot, EOFError or OSError when it
        died, SessionClosed when it is no longer ``wanted``."""
        deadline = self.started + START_TIMEOUT
        while not self.loaded:
            if not wanted():
                raise SessionClosed("the session ended while its worker process was started")
            if time.monotonic() > deadline:
                raise WorkerError(f"a worker process was not there in {START_TIMEOUT:g} seconds")
            if self.pipe.wait(POLL):
                check(self.pipe.receive())
                self.loaded = True

    @property
    def running(self) -> bool:
        return self.process.returncode is None and not self._exits_within(0.0)

    def kill(self) -> int:
        """End it now, and all that it has started; returns its exit status."""
        return self.end(grace=0.0, term=0.0)

    def end(self, grace: float, term: float = TERM_GRACE) -> int:
        """Let it end by itself, then ask by SIGTERM, then kill it; returns its exit status. From
        any thread, also more than once."""
        with self._reaping:
            if self.process.returncode is None:
                if grace:
                    self._exits_within(grace)
                if term and not self._exits_within(0.0):
                    self._signal(signal.SIGTERM)
                    self._exits_within(term)
                self._signal(
                    signal.SIGKILL
                )  # also what it has left behind, while its id is its own
                self.process.wait()
            _alive.discard(self)
        return self.process.returncode

    def _exits_within(self, seconds: float) -> bool:
        """Whether it exits; it stays a zombie, so that its id is nobody else's."""
        deadline = time.monotonic() + seconds
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        pause = 0.001
        while os.waitid(os.P_PID, self.process.pid, options) is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def release(self) -> None:
        """Give back all that it took here, once it has ended, and nobody waits for it."""
        if not self._released:
            self._released = True
            self.pipe.end.close()
            os.close(self._lifeline)
            self.memory.close()


def check(reply: Message) -> None:
    """Raises what a reply says that was raised."""
    if "error" not in reply:
        return
    error = reply["error"]
    raised = WorkerError(str(error["text"]), error.get("same"))
    raised.__cause__ = Traceback(str(error.get("trace", "")))
    raise raised


class Traceback(Exception):
    """Shows a traceback from another process, as a cause."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


class Spares:
    """Keeps one worker process of a function ready, so that a session need not wait for it."""

    def __init__(self, target: Target, faults: Faults) -> None:
        self._target = target
        self._faults = faults
        self._spare: WorkerProcess | None = None
        self._closed = False
        self._lock = threading.Lock()
        _keepers.add(self)

    def warm(self) -> None:
        """Start a spare one, unless there is one; not on the event loop: it takes a moment."""
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = self._start()

    def take(self) -> WorkerProcess:
        """One that is ready, or about to be; another takes its place. Raises SessionClosed."""
        with self._lock:
            if self._closed:
                raise SessionClosed("the stream has ended")
            taken, self._spare = self._spare, None
            if taken is not None and not taken.running:
                discard(taken)
                taken = None
            if taken is None:
                taken = self._start()
            self._spare = self._start()
        return taken

    def _start(self) -> WorkerProcess:
        self._faults.count(worker_starts=1)
        return WorkerProcess(self._target)

    def close(self) -> None:
        """End the spare one; returns when it has ended, which is at once."""
        with self._lock:
            self._closed = True
            spare, self._spare = self._spare, None
        if spare is not None:
            discard(spare)


def processor_times() -> dict[int, float]:
    """Seconds of processor time that each worker process has used, by its id; what it has started
    itself is not in it."""
    used: dict[int, float] = {}
    for worker in list(_alive):
        with contextlib.suppress(OSError):  # it is gone
            stat = Path(f"/proc/{worker.process.pid}/stat").read_text()
            # After the name, which may hold anything, in parentheses: man 5 proc.
            user, system = stat.rpartition(")")[2].split()[11:13]
            used[worker.process.pid] = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return used


def discard(worker: WorkerProcess) -> None:
    """End one that has done nothing yet."""
    worker.kill()
    worker.release()
    worker.events.close()


def _preparation(target: Target) -> Message:
    """What `multiprocessing` tells a process that it spawns, so that modules are found alike; of
    the main program only for a function that is in it."""
    whole = spawn.get_preparation_data("rtcstream-worker")
    main = ("init_main_from_name", "init_main_from_path")
    known = ("sys_path", "sys_argv", "orig_dir", "dir", *(main * (target.module == "__main__")))
    return {key: whole[key] for key in known if key in whole}


def _end_all() -> None:
    """At the interpreter's exit: those that sessions have just ended get a moment to do so."""
    for spares in list(_keepers):
        spares.close()
    deadline = time.monotonic() + EXIT_GRACE
    while _alive and time.monotonic() < deadline:
        time.sleep(0.01)
    for worker in list(_alive):
        worker.kill()


def _forget_all() -> None:
    """They are the parent's, not a fork's."""
    _alive.clear()
    _keepers.clear()


atexit.register(_end_all)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_all)
