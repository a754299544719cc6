"""What goes between a server and its worker processes: messages of JSON, and memory for media."""

import json
import mmap
import os
import select
import socket
import threading
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Message: TypeAlias = dict[str, Any]

MOST = 4 * 1024 * 1024
"""Bytes of one message: media go through the memory instead."""
ALIGNED = 64


class Pipe:
    """Messages over one end of a socket pair, each after its length in four bytes.

    ``send`` may be called from any thread. ``receive`` is one thread's; it raises EOFError when the
    other end is gone, and what cannot be a message is the end of it, too.
    """

    def __init__(self, end: socket.socket, timeout: float | None = None) -> None:
        self.end = end
        self._sending = threading.Lock()
        self._readable = select.poll()  # select() takes no descriptor above 1023
        self._readable.register(end, select.POLLIN)
        end.settimeout(timeout)

    def send(self, message: Message) -> None:
        """Raises OSError when the other end is gone, or takes nothing for the time-out."""
        text = json.dumps(message).encode()
        with self._sending:
            self.end.sendall(len(text).to_bytes(4, "big") + text)

    def wait(self, seconds: float) -> bool:
        """Whether something has come, or the end."""
        return bool(self._readable.poll(seconds * 1000))

    def receive(self) -> Message:
        length = int.from_bytes(self._read(4), "big")
        if length > MOST:
            raise EOFError(f"a message of {length} bytes")
        return parse(self._read(length))

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self.end.recv(min(count - len(parts), 1 << 16))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


class Assembler:
    """The same messages from bytes as they come."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, part: bytes) -> list[Message]:
        """The messages that are complete now. Raises EOFError for what cannot be one."""
        self._bytes += part
        found = []
        while len(self._bytes) >= 4:
            length = int.from_bytes(self._bytes[:4], "big")
            if length > MOST:
                raise EOFError(f"a message of {length} bytes")
            if len(self._bytes) < 4 + length:
                break
            found.append(parse(bytes(self._bytes[4 : 4 + length])))
            del self._bytes[: 4 + length]
        return found


def parse(text: bytes) -> Message:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise EOFError("a message that is no JSON") from None
    if not isinstance(message, dict):
        raise EOFError("a message that is no object")
    return message


class Memory:
    """Memory that two processes share by a descriptor: it has no name that could be left behind.

    It grows with what is put into it, and never shrinks: to read beyond its end would be the end
    of the reader.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _nameless() if descriptor is None else descriptor
        self._map: mmap.mmap | None = None
        self._size = 0

    def room(self, at: int, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """An array in it to write to."""
        end = at + _bytes(shape, dtype)
        if end > self._size and end > os.fstat(self.descriptor).st_size:
            os.ftruncate(self.descriptor, -(-end // mmap.PAGESIZE) * mmap.PAGESIZE)
        return self.array(at, shape, dtype)

    def array(self, at: int, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """An array in it, to read before anything else is put there. Raises EOFError when it is
        not all there."""
        end = at + _bytes(shape, dtype)
        if end > self._size:
            size = os.fstat(self.descriptor).st_size
            if end > size:
                raise EOFError("more than the memory holds")
            if not size:
                return np.zeros(shape, dtype)
            # The old map goes with the last array in it.
            self._map, self._size = mmap.mmap(self.descriptor, size), size
        if self._map is None:
            return np.zeros(shape, dtype)
        return np.frombuffer(self._map, np.uint8, end - at, at).view(dtype).reshape(shape)

    def planes(self, at: int, width: int, height: int, room: bool = False) -> list[NDArray[Any]]:
        """Y, U and V of a yuv420p picture, one after another: to read, or ``room`` to write."""
        half = (height + 1) // 2, (width + 1) // 2
        get = self.room if room else self.array
        if room:
            get(at, (planes_size(width, height),))  # grows once
        chroma = at + width * height
        sizes = [(at, (height, width)), (chroma, half), (chroma + half[0] * half[1], half)]
        return [get(place, shape) for place, shape in sizes]

    def close(self) -> None:
        self._map = None
        os.close(self.descriptor)


def planes_size(width: int, height: int) -> int:
    """Bytes of a yuv420p picture."""
    return width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)


def aligned(at: int) -> int:
    """The next place for an array of any type."""
    return -(-at // ALIGNED) * ALIGNED


def _bytes(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    count = np.dtype(dtype).itemsize
    for length in shape:
        count *= length
    return count


def _nameless() -> int:
    import fcntl  # which Windows has not

    descriptor = os.memfd_create("rtcstream", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return descriptor
