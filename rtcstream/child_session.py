"""The ``Session`` that a function gets in a worker process, and its way to the server's."""

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from . import messages
from .errors import MessageError, ResultError
from .pipes import Message, Pipe
from .reporting import share
from .results import to_json
from .types import Download, Peer


class Server:
    """The server's end of what is said beside the calls."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._asking = threading.Lock()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def tell(self, do: str, **what: Any) -> None:
        """Say something; when nobody listens any more, it reaches nobody."""
        with contextlib.suppress(OSError):
            self._pipe.send({"do": do, **what})

    def ask(self, do: str, **what: Any) -> Any:
        """Ask for something, and wait for it. Raises OSError."""
        with self._asking:
            self._pipe.send({"do": do, **what})
            return self._answers.get()

    def read(self, command: Callable[[Message], None]) -> None:
        """Take what comes; on a thread of its own."""
        try:
            while True:
                message = self._pipe.receive()
                if message["do"] == "answer":
                    self._answers.put(message["data"])
                else:
                    command(message)
        except (EOFError, OSError):
            os._exit(0)  # the server is gone


class ChildSession:
    """The ``Session`` of a function in a worker process; its ``state`` is the process's own."""

    def __init__(self, id: str, peer: Peer, server: Server) -> None:
        self.id = id
        self.peer = peer
        self.state: dict[str, Any] = {}
        self._server = server

    def send(self, data: Any) -> None:
        data = to_json(data, where="the data")
        try:
            messages.encode(messages.ServerData(data))
        except MessageError as error:
            raise ResultError(f"the data cannot be sent: {error}") from None
        self._server.tell("send", data=data)

    def receive(self) -> list[Any]:
        received: list[Any] = []
        with contextlib.suppress(OSError):
            more = True
            while more:
                some, more = self._server.ask("receive")
                received += some
        return received

    def info(self, text: str) -> None:
        self._server.tell("info", text=str(text)[:2000])

    def warn(self, text: str) -> None:
        self._server.tell("warn", text=str(text)[:2000])

    def error(self, text: str) -> None:
        self._server.tell("error", text=str(text)[:2000])

    def progress(self, value: float, text: str = "") -> None:
        self._server.tell("progress", value=share(value), text=str(text)[:2000])

    def stats(self) -> dict[str, Any]:
        with contextlib.suppress(OSError):
            return dict(self._server.ask("stats"))
        return {}

    def played(self) -> float:
        with contextlib.suppress(OSError):
            return float(self._server.ask("played"))
        return 0.0

    def download(self, path: str | PathLike[str], name: str = "") -> Download:
        where = str(Path(path).resolve(strict=True))
        answer = self._server.ask("download", path=where, name=str(name)[:500])
        if isinstance(answer, str):
            raise FileNotFoundError(answer)
        return Download(*answer)

    def close(self, reason: str = "closed by the function") -> None:
        self._server.tell("close", reason=str(reason)[:2000])
