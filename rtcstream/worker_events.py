"""What a function in a worker process does with its session; and what it is told meanwhile."""

import asyncio
import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import astuple
from typing import Any, Protocol

from .errors import RtcStreamError
from .messages import StateValue
from .pipes import Assembler, Message
from .types import Session

EVENT_BYTES, EVENT_PAUSE = 8192, 0.002
"""What is read at a time of what a function says, and the seconds until the next when there is
more: who says too much holds only itself up."""
ANSWER_BYTES = 64 * 1024
"""How much received data one answer has, about; the rest is asked for again."""


class Owner(Session, Protocol):
    """The session, as far as a function in another process needs it."""

    def on_state(self, value: StateValue) -> None:
        """What the function does from now on."""


class Events:
    """The socket of a worker process that is beside its calls: read by the event loop, which does
    with the ``session`` what the function does with its own, and calls ``died`` at the end.
    """

    UNSENT = 4 * 1024 * 1024
    """Bytes that wait for a process to read them; one that leaves more is ended."""

    def __init__(
        self,
        end: socket.socket,
        loop: asyncio.AbstractEventLoop,
        session: Owner,
        died: Callable[[], None],
    ) -> None:
        self._socket = end
        self._loop = loop
        self._session = session
        self._died = died
        self._received: deque[Any] = deque()
        self._assembler = Assembler()
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._closed = False
        self._on_loop(self._watch)

    def send(self, message: Message) -> None:
        """Say something to the process; from any thread."""
        text = json.dumps(message).encode()
        with self._lock:
            if self._closed:
                return
            self._unsent += len(text).to_bytes(4, "big") + text
            self._send_some()
            if len(self._unsent) > self.UNSENT:
                self._unsent.clear()
                self._socket.shutdown(socket.SHUT_RDWR)  # which both ends take for the end
            elif self._unsent:
                self._on_loop(self._watch_writable)

    def close(self) -> None:
        """Close it; from any thread, but on the loop, which may be reading it."""
        self._on_loop(self._close)

    def _on_loop(self, do: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(do)
        except RuntimeError:  # the loop has ended, and reads nothing
            self._closed = True
            self._socket.close()

    def _send_some(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, which its reader sees
            self._unsent.clear()

    def _watch(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._socket, self._read)

    def _watch_writable(self) -> None:
        if not self._closed:
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        with self._lock:
            self._send_some()
            if not self._unsent:
                self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            part = self._socket.recv(EVENT_BYTES)
            if not part:
                raise EOFError
            for message in self._assembler.add(part):
                self._heard(message)
        except BlockingIOError:
            return
        except (OSError, EOFError, RtcStreamError, ValueError, TypeError):
            self._loop.remove_reader(self._socket)
            self._died()
            return
        if len(part) == EVENT_BYTES:
            self._loop.remove_reader(self._socket)
            self._loop.call_later(EVENT_PAUSE, self._watch)

    def _close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.remove_reader(self._socket)
                self._loop.remove_writer(self._socket)
                self._socket.close()

    def _heard(self, message: Message) -> None:
        session = self._session
        match message:
            case {"do": "send", "data": data}:
                session.send(data)
            case {"do": "info", "text": str(text)}:
                session.info(text)
            case {"do": "warn", "text": str(text)}:
                session.warn(text)
            case {"do": "error", "text": str(text)}:
                session.error(text)
            case {"do": "progress", "value": float(value), "text": str(text)}:
                session.progress(value, text)
            case {"do": "close", "reason": str(reason)}:
                session.close(reason)
            case {"do": "stats"}:
                self.send({"do": "answer", "data": session.stats()})
            case {"do": "download", "path": str(path), "name": str(name)}:
                try:
                    answer: Any = list(astuple(session.download(path, name)))
                except OSError as error:
                    answer = str(error)
                self.send({"do": "answer", "data": answer})
            case {"do": "played"}:
                self.send({"do": "answer", "data": session.played()})
            case {"do": "receive"}:
                self._received += session.receive()
                answer, size = [], 0
                while self._received and size < ANSWER_BYTES:
                    answer.append(self._received.popleft())
                    size += len(json.dumps(answer[-1]))
                more = bool(self._received)
                self.send({"do": "answer", "data": [answer, more]})
            case _:
                raise ValueError("nothing that a function does")
