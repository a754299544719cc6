"""How a frame's packets get to the socket: together, singly, another way, or not at all."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pylibsrtp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream.transport.packets import MAX_PAYLOAD, vp8_payloads
from rtcstream.transport.rtp_writer import MOST_AT_ONCE
from tests.leaks import no_leaks
from tests.wire import RTX, Wire, connected, session

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux cuts packets apart")


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with connected() as wire:
        yield wire


@linux
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.lists(st.integers(1, MAX_PAYLOAD), min_size=1, max_size=90)
    | st.tuples(st.integers(1, 100), st.integers(1, MAX_PAYLOAD)).map(lambda t: [t[1]] * t[0])
)
async def test_together_and_singly(wire: Wire, sizes: list[int]) -> None:
    """The kernel's cutting and single sends put the same bytes on the wire."""
    payloads = [os.urandom(size) for size in sizes]
    wire.transport._tx_srtp = session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    together, singly = wire.writer(), wire.writer()
    singly._segments = False
    singly._sequence_number = together._sequence_number
    singly._extensions = together._extensions = lambda: b""  # type: ignore[method-assign]
    together.send(payloads, 5)
    one = wire.datagrams()
    singly.send(payloads, 5)
    assert wire.datagrams() == one
    assert len(one) == len(payloads)
    assert together._segments, "the loopback interface can"
    together.close()


@linux
async def test_one_call_for_a_frame(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of many equal packets goes to the kernel in few calls, none of them asyncio's."""
    calls, sendmsg = [], socket.socket.sendmsg

    def counted(*arguments: Any) -> int:
        calls.append(1)
        return sendmsg(*arguments)

    monkeypatch.setattr(socket.socket, "sendmsg", counted)
    monkeypatch.setattr(
        type(wire.out), "sendto", lambda *args: pytest.fail("sent singly"), raising=True
    )
    writer = wire.writer()
    writer.send(vp8_payloads(os.urandom(50_000), 1), 0)
    assert len(wire.packets()) == 43
    assert len(calls) == -(-43 // MOST_AT_ONCE)


@linux
@pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL, errno.EMSGSIZE])
async def test_a_kernel_that_cannot(wire: Wire, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """What the kernel refuses to cut is sent singly, and it is not asked again."""
    calls = []

    def refuse(*args: Any) -> int:
        calls.append(1)
        raise OSError(code, "no")

    monkeypatch.setattr(socket.socket, "sendmsg", refuse)
    writer = wire.writer()
    for _ in range(3):
        writer.send([b"a" * 100] * 5, 0)
    assert len(wire.packets()) == 15
    assert calls == [1]


@linux
async def test_a_full_socket(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel cannot take just now goes the usual way, and the next frame together."""

    def full(*args: Any) -> int:
        raise BlockingIOError

    writer = wire.writer()
    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "sendmsg", full)
        writer.send([b"a" * 100] * 5, 0)
    assert writer._segments
    writer.send([b"a" * 100] * 5, 0)
    assert len(wire.packets()) == 10


async def test_another_path(wire: Wire) -> None:
    """When ICE chooses another pair, what is sent goes there, by a socket of that path."""
    writer = wire.writer()
    writer.send([b"a" * 100] * 5, 0)
    assert len(wire.datagrams()) == 5
    async with no_leaks():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.bind(("127.0.0.1", 0))
            far.setblocking(False)
            wire.nominated[1] = SimpleNamespace(
                protocol=wire.pair.protocol, remote_addr=far.getsockname()
            )
            writer.send([b"b" * 100] * 5, 0)
            assert not wire.datagrams()
            assert len([far.recv(2000) for _ in range(5)]) == 5


async def test_a_relay_has_no_socket(wire: Wire) -> None:
    """Through TURN each packet is handed to the relay's transport."""
    sent = []
    relay = SimpleNamespace(
        sendto=lambda data, address: sent.append(data),
        get_extra_info=lambda name, default=None: default,
    )
    wire.pair.protocol = SimpleNamespace(transport=relay)
    writer = wire.writer()
    writer.send([b"a" * 100] * 5, 0)
    assert len(sent) == 5 and writer._socket is None


async def test_the_socket_ends_with_the_writer(wire: Wire) -> None:
    """A closed writer has given its socket back, and takes none again for a late request."""
    async with no_leaks():
        writer = wire.writer(RTX)
        writer.send([b"a" * 100] * 5, 0)
        writer.close()
        writer.resend(range(65536))
        writer.send([b"a" * 100] * 5, 0)
        writer.close()
    assert writer._socket is None and writer.resent == 0


async def test_no_connection(wire: Wire) -> None:
    """Without a connection or a path, sending says so, as a sender expects it."""
    writer = wire.writer()
    wire.nominated.clear()
    with pytest.raises(ConnectionError, match="path"):
        writer.send([b"a"], 0)
    wire.transport.state = "closed"
    with pytest.raises(ConnectionError, match="connection"):
        writer.send([b"a"], 0)


async def test_a_payload_that_is_no_packets(wire: Wire) -> None:
    """A payload longer than a datagram is refused before anything is written beyond its room."""
    writer = wire.writer()
    with pytest.raises(ValueError, match="longer than"):
        writer.send([bytes(1480)], 0)
    writer.send([b"a"], 0)
    assert len(wire.datagrams()) == 1


def test_loops_of_several_threads() -> None:
    """Event loops in threads of their own do not write into each other's packets."""

    async def main(fill: bytes) -> set[bytes]:
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        out, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        wire, payloads = Wire(out, far), set()
        writer = wire.writer()
        for _ in range(200):
            writer.send([fill * 1000] * 10, 0)
            payloads |= {packet.payload for packet in wire.packets()}
        writer.close()
        out.close()
        far.close()
        return payloads

    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda fill: asyncio.run(main(fill)), [b"a", b"b", b"c", b"d"])
    assert list(found) == [{fill * 1000} for fill in (b"a", b"b", b"c", b"d")]
