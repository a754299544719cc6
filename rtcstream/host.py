"""What a function is told and tells: its ``Session``, whoever is listening."""

import contextlib
import logging
import secrets
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from pyee.asyncio import AsyncIOEventEmitter

from . import logs, messages
from .calls import AnyCall, describe_error
from .errors import LoadingFailed, MessageError, ResultError
from .faults import WorkerError
from .messages import LOAD_FAILED, ServerMessage, StateValue
from .outbox import Level, Notices
from .outcomes import Results
from .reporting import share
from .results import to_json
from .runner import Runner
from .types import Download, Peer
from .uploads import plain_name
from .worker import Worker

logger = logging.getLogger("rtcstream.session")

CLOSE_TIMEOUT = 1.0
"""Seconds that what ends may take."""
MOST_DOWNLOADS = 16
"""Files that are offered at a time; a newer one takes the oldest one's place."""
RECEIVED_MESSAGES, RECEIVED_BYTES = 256, 512 * 1024
"""What may wait for the function's ``receive``; parsed JSON can take twenty times its text."""


class Host(AsyncIOEventEmitter):
    """The ``Session`` that a function gets, and the listener of all that it does.

    The methods of the ``Session`` protocol work from any thread. Whom the messages go to is the
    subclass's: one page, or all who watch.
    """

    def __init__(self, id: str, peer: Peer, loop: AbstractEventLoop, runner: Runner) -> None:
        super().__init__()
        self.id = id
        self.state: dict[str, Any] = {}
        self.peer = peer
        self._runner = runner
        self._event_loop = loop
        self._notices = Notices()
        self._received: deque[tuple[int, Any]] = deque()
        self._received_bytes = 0
        self._received_lock = threading.Lock()
        self._downloads: dict[str, tuple[Path, str]] = {}
        self._stats: dict[str, Any] = {}
        self.doing: StateValue = "waiting"
        """What was last told of the function."""
        self.errors = 0
        """How often the function, or what encodes for it, has failed."""
        self.hangs = 0
        """How often a call has not returned for ``HANG_TIMEOUT``."""
        self.hanging = 0
        """How many functions have not returned for ``hang_timeout``, as of the last second."""

    def end_soon(self, reason: str) -> None:
        """Begin to end; on the event loop."""
        raise NotImplementedError

    def _post(self, message: ServerMessage) -> None:
        """Send a message to whoever listens; from any thread."""
        raise NotImplementedError

    def keep(self, data: Any, size: int) -> bool:
        """Keep what a page has sent until the function takes it; False when there is too much."""
        with self._received_lock:
            if (
                len(self._received) >= RECEIVED_MESSAGES
                or self._received_bytes + size > RECEIVED_BYTES
            ):
                return False
            self._received.append((size, data))
            self._received_bytes += size
            return True

    # What the functions do: called on their worker threads

    def on_state(self, value: StateValue) -> None:
        self.doing = value
        self._post(messages.State(value))

    def on_raised(self, call: AnyCall, error: BaseException) -> None:
        self.errors += 1
        # What is wrong with a result, or missing, is said in full by its words.
        cause = None if isinstance(error, ResultError | LoadingFailed) else error
        text = describe_error(error, call.signature)
        # One line of code raises one kind of error, whatever numbers are in its words.
        same = None if cause is None else f"{type(error).__name__} {text.rpartition(' (')[2]}"
        if isinstance(error, WorkerError):
            same = error.same
        self._say("error", text, cause, same)

    def on_load_failed(self, call: AnyCall, error: BaseException) -> None:
        self.errors += 1
        text = describe_error(error, call.signature)
        cause = None if isinstance(error, LoadingFailed) else error
        with logs.about(self.id):
            logger.error("%s cannot be loaded: %s", self.id[:6], text, exc_info=cause)
        self._post(messages.Log("error", text))  # whatever else it has said just now
        self.close(LOAD_FAILED)

    def on_warning(self, text: str) -> None:
        self._say("warning", text)

    def on_results(self, results: Results, pts: int | None, run: int) -> None:
        wire = None if pts is None else pts & 0xFFFFFFFF
        for name, data in results:
            try:
                self._post(messages.Result(wire, run, name, data))
            except MessageError as error:
                self._say("error", f"a result cannot be sent: {error}")

    def on_encoder_error(self, error: BaseException) -> None:
        self.errors += 1
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
        self._post(messages.Progress(share(value), str(text)[:2000]))

    def stats(self) -> dict[str, Any]:
        return dict(self._stats)

    def played(self) -> float:
        """Seconds of the run's sound that have been sent."""
        raise NotImplementedError

    def download(self, path: str | PathLike[str], name: str = "") -> Download:
        file = Path(path).resolve(strict=True)
        key = secrets.token_urlsafe(18)
        name = plain_name(name or file.name)
        with self._received_lock:
            self._downloads[key] = file, name
            while len(self._downloads) > MOST_DOWNLOADS:
                del self._downloads[next(iter(self._downloads))]
        return Download(name, file.stat().st_size, f"download/{key}")

    def downloaded(self, key: str) -> tuple[Path, str] | None:
        """The path and name of what was offered by this key."""
        return self._downloads.get(key)

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
            with logs.about(self.id):  # what has no session of its own acts within somebody's
                logger.log(number, "%s %s", self.id[:6], line.message, exc_info=error)
            self._post(line)

    def _say_repeats(self) -> None:
        for line in self._notices.tick():
            self._post(line)

    def note_abandoned(self, worker: Worker) -> None:
        """Say so if a worker's function still runs, some time after it was told to end."""
        if worker.running and worker.call.outlives_session:
            with logs.about(self.id):
                logger.warning(
                    "%s has ended, but %s() has not returned; its thread is abandoned",
                    self.id[:6],
                    worker.call.signature.name,
                )

    def _say_hanging(self, workers: Sequence[Worker]) -> None:
        """Report those that have not returned for ``hang_timeout``, each hang once."""
        if (seconds := self._runner.options.hang_timeout) is None:
            return
        said = [text for worker in workers if (text := worker.complaint(seconds)) is not None]
        self.hanging = sum(worker.hangs for worker in workers)
        self.hangs += len(said)
        self._runner.faults.count(hangs=len(said))
        for text in said:
            self._say("warning", text)
