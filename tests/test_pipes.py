"""Messages and memory between processes: whole, in any pieces, and never beyond their end."""

import contextlib
import json
import os
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcstream.pipes import MOST, Assembler, Memory, Pipe, aligned, planes_size

MESSAGES = st.lists(
    st.dictionaries(st.text(max_size=8), st.integers() | st.text() | st.none(), max_size=4),
    max_size=5,
)


def framed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


@given(MESSAGES, st.integers(1, 50))
def test_messages_in_any_pieces(messages: list[dict[str, object]], size: int) -> None:
    """Messages come out as they went in, however their bytes are cut."""
    whole = b"".join(framed(json.dumps(message).encode()) for message in messages)
    assembler, found = Assembler(), []
    for at in range(0, len(whole), size):
        found += assembler.add(whole[at : at + size])
    assert found == messages


@given(st.binary(max_size=200))
def test_what_is_no_message(junk: bytes) -> None:
    """Bytes that are no messages are the end, or wait for the rest, and raise nothing else."""
    assembler = Assembler()
    with contextlib.suppress(EOFError):
        assert all(isinstance(message, dict) for message in assembler.add(junk))


def test_a_pipe_ends() -> None:
    """A message too long, no JSON, or a closed end is an EOFError."""
    for text in (framed(b"[1]"), framed(b"{"), (MOST + 1).to_bytes(4, "big"), b"\0\0", b""):
        mine, other = socket.socketpair()
        with mine, other:
            other.sendall(text)
            other.shutdown(socket.SHUT_WR)
            pipe = Pipe(mine, 1.0)
            assert pipe.wait(1.0)
            with pytest.raises(EOFError):
                pipe.receive()


def test_a_pipe_waits() -> None:
    """A pipe says whether something has come, and what comes is whole, however large."""
    mine, other = socket.socketpair()
    with mine, other:
        one, two = Pipe(mine), Pipe(other)
        assert not one.wait(0)
        two.send({"text": "x" * 50_000})
        assert one.wait(1.0)
        assert one.receive() == {"text": "x" * 50_000}


def test_memory_grows_for_both() -> None:
    """What one side writes the other reads, also when it has grown since; nothing is beyond it."""
    memory = Memory()
    other = Memory(os.dup(memory.descriptor))
    try:
        with pytest.raises(EOFError):
            other.array(0, (1,))
        for size in (10, 100_000, 5, 3_000_000):
            memory.room(0, (size,))[:] = size % 251
            assert (other.array(0, (size,)) == size % 251).all()
        other.room(4096, (2, 3), np.float32)[...] = 0.5
        assert (memory.array(4096, (2, 3), np.float32) == 0.5).all()
        with pytest.raises(EOFError):
            memory.array(0, (1 << 40,))
        with pytest.raises(OSError):
            os.ftruncate(memory.descriptor, 0)  # or else its readers would die
    finally:
        memory.close()
        other.close()


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (641, 479)])
def test_planes_of_odd_pictures(size: tuple[int, int]) -> None:
    """The planes of a picture lie one after another, with half the colours rounded up."""
    memory = Memory()
    try:
        width, height = size
        planes = memory.planes(64, width, height, room=True)
        for number, plane in enumerate(planes):
            plane[...] = number + 1
        assert [plane.shape for plane in planes] == [
            (height, width),
            *[((height + 1) // 2, (width + 1) // 2)] * 2,
        ]
        count = planes_size(width, height)
        assert memory.array(64, (count,)).tolist() == [
            number + 1 for number, plane in enumerate(planes) for _ in range(plane.size)
        ]
    finally:
        memory.close()
    assert [aligned(at) for at in (0, 1, 64, 65)] == [0, 64, 64, 128]
