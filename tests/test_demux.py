"""What comes in at a port that all peers share: whose it is, and who is let in."""

import asyncio
import socket
from typing import Any

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from rtcstream.transport.demux import MOST_ADDRESSES, SharedSocket, bound
from rtcstream.transport.ice import LOOPBACK
from tests.test_ports import one_port
from tests.waiting import until


class _Connection:
    """Of an ICE connection, what a shared socket asks for."""

    def __init__(self, ufrag: str) -> None:
        self.local_username, self.local_password = ufrag, "p" * 22
        self.remote_password = "q" * 22
        self.requests: list[tuple[str, int]] = []
        self.data: list[bytes] = []

    def request_received(self, message: stun.Message, addr: tuple[str, int], _: Any) -> None:
        self.requests.append(addr)

    def data_received(self, data: bytes, component: int) -> None:
        self.data.append(data)

    def protocol_lost(self, protocol: Any) -> None:
        pass


def request(ufrag: str, password: str) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes |= {"USERNAME": f"{ufrag}:abcd", "PRIORITY": 1, "ICE-CONTROLLING": 1}
    message.add_message_integrity(password.encode())
    return bytes(message)


def member(shared: SharedSocket, ufrag: str) -> tuple[Any, Any]:
    connection: Any = _Connection(ufrag)
    protocol: Any = shared.join(connection)
    protocol.local_candidate = type("Candidate", (), {"component": 1})
    return connection, protocol


async def test_strangers_and_forgers_are_ignored() -> None:
    """Media of nobody, checks for nobody, with the wrong password or none, and responses that
    nobody awaits are counted, not answered, and remembered nowhere."""
    async with one_port() as (_, shared):
        connection, _ = member(shared, "a" * 16)
        unsigned = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        unsigned.attributes["USERNAME"] = "a" * 16 + ":abcd"
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
        response.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.1", 9)
        response.add_message_integrity(b"q" * 22)
        packets = [
            b"\x80" + bytes(40),
            b"\x16" + bytes(40),
            b"",
            request("b" * 16, "p" * 22),
            request("a" * 16, "x" * 22),
            request("a" * 4, "p" * 22),
            bytes(unsigned),
            bytes(response),
            request("a" * 16, "p" * 22)[:-4],
        ]
        with bound(LOOPBACK[0], 0) as stranger:
            for packet in packets:
                stranger.sendto(packet, (LOOPBACK[0], shared.port))
            await until(lambda: shared.ignored == len(packets))
            assert len(shared) == 1, "the connection itself"
            assert not connection.requests and not connection.data
            with pytest.raises(BlockingIOError):
                stranger.recv(100)
            stranger.sendto(request("a" * 16, "p" * 22), (LOOPBACK[0], shared.port))
            stranger.sendto(b"\x80 media", (LOOPBACK[0], shared.port))
            await until(lambda: connection.data == [b"\x80 media"])
            assert connection.requests == [stranger.getsockname()]


async def test_an_address_changes_hands_only_by_an_answer_from_there() -> None:
    """Who forges another's address in a valid check of its own gets none of the other's packets;
    an answer that has come from there proves that it is its own now."""
    async with one_port() as (_, shared):
        (first, _), (second, taking) = member(shared, "a" * 16), member(shared, "b" * 16)
        at = ("192.0.2.1", 4000)
        shared._take(request("a" * 16, "p" * 22), at)
        shared._take(request("b" * 16, "p" * 22), at)
        shared._take(b"\x80 one", at)
        assert (first.data, second.data) == ([b"\x80 one"], [])
        ours = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        asking = asyncio.create_task(taking.request(ours, ("127.0.0.1", 9), b"q" * 22))
        await asyncio.sleep(0)
        for password, holds in (("x" * 22, first), ("q" * 22, second)):
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, ours.transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = at
            answer.add_message_integrity(password.encode())
            shared._take(bytes(answer), at)
            shared._take(b"\x80 two", at)
            assert holds.data[-1] == b"\x80 two"
        await asking
        taking.transport.close()
        shared._take(b"\x80 three", at)
        assert second.data[-1] == b"\x80 two" and len(shared) == 1


async def test_addresses_of_one_peer_are_bounded() -> None:
    """A peer that comes from ever new ports holds the last few only."""
    async with one_port() as (_, shared):
        connection, protocol = member(shared, "a" * 16)
        for port in range(1000, 1100):
            shared._take(request("a" * 16, "p" * 22), ("192.0.2.1", 1000))
            shared._take(request("a" * 16, "p" * 22), ("192.0.2.1", port))
        assert len(protocol.addresses) == MOST_ADDRESSES
        assert {("192.0.2.1", 1000), ("192.0.2.1", 1099)} <= set(protocol.addresses)
        assert len(shared) == 1 + MOST_ADDRESSES
        assert len(connection.requests) == 200


async def test_more_than_the_kernel_takes_is_dropped_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Packets do not pile up in front of a full socket."""
    async with one_port() as (_, shared):
        _, protocol = member(shared, "a" * 16)
        shared.pause_writing()
        protocol.transport.sendto(b"one", (LOOPBACK[0], 9))
        assert shared.unsent == 1 and "packets are dropped" in caplog.text
        shared.resume_writing()
        protocol.transport.sendto(b"two", (LOOPBACK[0], 9))
        assert shared.unsent == 1


GOOD = request("a" * 16, "p" * 22)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255))), st.binary())
def test_no_packet_raises(changes: list[tuple[int, int]], tail: bytes) -> None:
    """Whatever comes in at the port is taken or ignored."""

    async def main() -> None:
        shared = SharedSocket(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        member(shared, "a" * 16)
        packet = bytearray(GOOD)
        for place, value in changes:
            packet[place] = value
        shared._take(bytes(packet) + tail, ("192.0.2.1", 1))
        shared._take(tail, ("192.0.2.1", 1))
        shared._socket.close()

    asyncio.run(main())
