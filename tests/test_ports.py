"""UDP ports: one for all peers, or a range; what is announced of them."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aioice import Candidate
from aiortc import RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from rtcstream import CommandError, Image, Stream, testing
from rtcstream.network import UdpOptions, opened, parse_range
from rtcstream.server import ServerOptions, listening
from rtcstream.signaling import Problem
from rtcstream.transport.demux import SharedSocket, bound
from rtcstream.transport.ice import LOOPBACK, IceOptions, announced, local_addresses
from rtcstream.transport.ports import PortRange, SharedPort
from rtcstream.types import Peer
from tests.conftest import Leaks
from tests.pictures import difference, scene
from tests.test_endings import connected, offering
from tests.waiting import until


def flip(image: Image) -> Image:
    return image[::-1]


def udp_sockets() -> set[str]:
    """The inodes of this process's UDP sockets."""
    udp = set()
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with open(table) as lines:
            udp |= {line.split()[9] for line in list(lines)[1:]}
    mine = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the listing's own
            continue
        if found is not None:
            mine.add(found[1])
    return udp & mine


@asynccontextmanager
async def one_port(address: str = LOOPBACK[0]) -> AsyncIterator[tuple[IceOptions, SharedSocket]]:
    """A server's end on one port, and the socket of it."""
    ports = SharedPort(0)
    shared = await ports.open(address)
    try:
        yield IceOptions(addresses=(address,), ports=ports), shared
    finally:
        await ports.close()


def ice_of(peer: testing.TestPeer) -> tuple[Any, Any]:
    """The ICE connections of both ends: the server's and the visitor's."""
    assert peer.session is not None
    ends = (peer.session._connection, peer._connection)
    server, visitor = (end.sctp.transport.transport._connection for end in ends)  # type: ignore[union-attr]
    return server, visitor


async def test_twenty_sessions_on_one_port(leaks: Leaks) -> None:
    """Sessions get their own pictures back over one socket, and leave nothing in its tables."""
    before = udp_sockets()
    async with leaks(), one_port() as (ice, shared):
        sessions = Stream(flip).sessions()
        async with AsyncExitStack() as stack:
            peers = [
                await stack.enter_async_context(testing.connect(sessions, ice=ice, timeout=20))
                for _ in range(20)
            ]
            used = udp_sockets() - before
            assert len(used) == 20 + 1, "one for each visitor, one for the server"
            for number, peer in enumerate(peers):
                picture = scene(160, 120, seed=number)
                assert difference(await peer.apply(picture), picture[::-1]) < 12
            assert {ice_of(peer)[0]._nominated[1].local_addr[1] for peer in peers} == {shared.port}
            assert len(shared) >= 40
        assert len(shared) == 0
        assert len(udp_sockets() - before) == 1
    assert udp_sockets() == before


async def test_one_port_over_ipv6() -> None:
    """Pictures go both ways where the one port is IPv6's."""
    async with one_port("::1") as (ice, shared):
        visitor = replace(testing.LOCAL, addresses=("::1",))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(testing, "LOCAL", visitor)
            async with testing.connect(Stream(flip), ice=ice) as peer:
                assert difference(await peer.apply(scene()), scene()[::-1]) < 8
        assert len(shared) == 0


async def test_large_pictures_leave_together_by_the_one_port() -> None:
    """Packets of one frame are still handed to the kernel at once, on the shared socket."""
    async with one_port() as (ice, _), testing.connect(Stream(flip), ice=ice) as peer:
        await peer.apply(scene(1280, 720))
        assert peer.session is not None
        [sender] = peer.session._wiring.senders
        writer: Any = sender._writer
        assert writer._socket is not None and writer._segments


async def test_a_peer_whose_port_changes_goes_on() -> None:
    """What a NAT does to a visitor: packets come from another port, and after a valid check from
    there pictures come back to it."""
    async with one_port() as (ice, shared), testing.connect(Stream(flip), ice=ice) as peer:
        await peer.apply(scene())
        server, visitor = ice_of(peer)
        pair = visitor._nominated[1]
        before = pair.protocol.transport.get_extra_info("sockname")
        own = bound(LOOPBACK[0], 0)
        pair.protocol.transport.abort()
        visitor.protocol_lost = lambda protocol: None
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Elsewhere(pair.protocol), sock=own
        )
        pair.protocol.transport = transport
        data = peer._connection.sctp.transport  # type: ignore[union-attr]
        await data.transport._send(b"\x80" + bytes(20))
        await asyncio.sleep(0)
        assert own.getsockname()[:2] not in shared._addresses, "a packet of media proves nothing"
        request = visitor.build_request(pair, nominate=True)
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(visitor.remote_password.encode())
        pair.protocol.send_stun(request, pair.remote_addr)
        await until(lambda: server._nominated[1].remote_addr == own.getsockname()[:2])
        assert difference(await peer.apply(scene(seed=1)), scene(seed=1)[::-1]) < 12
        assert before[:2] in shared._addresses, "until it is the least recently heard from"


class _Elsewhere(asyncio.DatagramProtocol):
    """Another socket under a visitor's ICE."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._protocol.datagram_received(data, addr)


# A range


def free_range(count: int) -> tuple[int, int]:
    """So many ports in a row that nobody has."""
    for first in range(40000, 60000, count):
        taken = []
        try:
            taken = [bound(LOOPBACK[0], port) for port in range(first, first + count)]
        except OSError:
            continue
        finally:
            for each in taken:
                each.close()
        return first, first + count - 1
    raise AssertionError("no free ports")


async def test_sessions_within_a_range_of_ports(leaks: Leaks) -> None:
    """Each session has a port of the range; when none is left the offer is refused with 503; a port
    is given back when its session ends."""
    first, last = free_range(2)
    ice = IceOptions(addresses=LOOPBACK, ports=PortRange(first, last))
    sessions = Stream(flip).sessions()
    async with leaks(), testing.connect(sessions, ice=ice) as one:
        async with testing.connect(sessions, ice=ice) as two:
            for peer in (one, two):
                assert difference(await peer.apply(scene()), scene()[::-1]) < 8
            ports = {ice_of(peer)[0]._nominated[1].local_addr[1] for peer in (one, two)}
            assert ports == {first, last}
            with pytest.raises(Problem) as refused:
                async with testing.connect(sessions, ice=ice):
                    pass
            assert refused.value.status == 503 and "Retry-After" in refused.value.headers
            assert f"from {first} to {last}" in refused.value.detail
            assert len(sessions) == 2
        async with testing.connect(sessions, ice=ice) as three:
            await three.apply(scene())


async def test_ports_of_others_are_passed_over() -> None:
    """A port of the range that another program has is not ours to have."""
    first, last = free_range(3)
    ice = IceOptions(addresses=LOOPBACK, ports=PortRange(first, last))
    with bound(LOOPBACK[0], first), bound(LOOPBACK[0], last):
        async with testing.connect(Stream(flip), ice=ice) as peer:
            assert ice_of(peer)[0]._nominated[1].local_addr[1] == first + 1


# Public addresses


async def test_public_addresses_are_announced_in_place_of_our_own() -> None:
    """The answer's candidates name them with the port that is bound; those of the other family
    stay; pictures still come, since the server asks the visitor too."""
    async with one_port() as (ice, shared):
        ice = replace(ice, public_addresses=("203.0.113.7", "2001:db8::7", "203.0.113.8"))
        async with offering() as (_, offer):
            sessions = Stream(flip).sessions()
            session, answer = await sessions.connect(offer, {}, Peer(None, {}), ice)
            lines = [line.split() for line in answer.splitlines() if "a=candidate" in line]
            told = {(fields[4], int(fields[5]), fields[7]) for fields in lines}
            public = ("203.0.113.7", "203.0.113.8")
            assert told == {(address, shared.port, "host") for address in public}
            await session.end("done")
        async with testing.connect(Stream(flip), ice=ice) as peer:
            assert difference(await peer.apply(scene()), scene()[::-1]) < 8


def test_several_local_addresses_on_one_port_are_one_public_one() -> None:
    """The same address and port is not announced twice."""

    def host(address: str, port: int) -> Any:
        return Candidate.from_sdp(f"1 1 udp 2130706431 {address} {port} typ host")

    local = [host("10.0.0.1", 7), host("10.0.0.2", 7), host("10.0.0.3", 8), host("fd00::1", 7)]
    told = [(c.host, c.port) for c in announced(local, ["203.0.113.7"])]
    assert told == [("203.0.113.7", 7), ("203.0.113.7", 8), ("fd00::1", 7)]
    assert [c.host for c in local] == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"]


# The server's options


async def test_a_server_on_one_port() -> None:
    """`--udp-port` and `--public-ip` reach the answers of all streams, also of one with ICE servers
    of its own, and the port is free again when the server has ended."""
    with bound("0.0.0.0", 0) as free:
        port = free.getsockname()[1]
    options = ServerOptions(port=0, udp_port=port, public_ips=["203.0.113.7"])
    application = Stream(flip).app(ice_servers=[])
    headers = {"Content-Type": "application/sdp"}
    async with (
        listening(application, options) as url,
        offering() as (_, offer),
        aiohttp.ClientSession() as client,
        client.post(url + "session", data=offer, headers=headers) as response,
    ):
        assert response.status == 201
        answer = await response.text()
        assert f"203.0.113.7 {port} typ host" in answer
        for line in answer.splitlines():
            assert "a=candidate" not in line or line.split()[5] == str(port)
    bound(local_addresses()[0], port).close()


async def test_a_port_in_use_is_one_line() -> None:
    """Another program's UDP port is a CommandError that says what to do."""
    with bound(local_addresses()[0], 0) as other:
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"UDP port {port} is in use on .*--udp-port"):
            async with opened(UdpOptions(port=port)):
                pass


async def test_a_server_whose_stream_is_seen_through_one_port() -> None:
    """Real HTTP, real media, one port."""
    with bound("0.0.0.0", 0) as free:
        port = free.getsockname()[1]
    headers = {"Content-Type": "application/sdp"}
    async with (
        listening(Stream(flip), ServerOptions(port=0, udp_port=port)) as url,
        offering(IceOptions()) as (connection, offer),
        aiohttp.ClientSession() as client,
        client.post(url + "session", data=offer, headers=headers) as response,
    ):
        answer = await response.text()
        await connected(connection, RTCSessionDescription(sdp=answer, type="answer"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"udp_port": 0}, "from 1 to 65535"),
        ({"udp_port": 70000}, "from 1 to 65535"),
        ({"udp_ports": (2000, 1000)}, "lower one first"),
        ({"udp_ports": (0, 1000)}, "from 1 to 65535"),
        ({"udp_port": 1000, "udp_ports": (1000, 2000)}, "or a range"),
        ({"public_ips": ["example.com"]}, "'example.com' is not"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    """Nonsense is refused before anything is bound, with what is accepted."""
    with pytest.raises(CommandError, match=words):
        ServerOptions(**options).check()


@given(st.integers(0, 99999), st.integers(0, 99999))
def test_a_range_is_read_as_written(first: int, last: int) -> None:
    """`A-B` is its two ends."""
    assert parse_range(f"{first}-{last}") == (first, last)


@given(st.text())
def test_no_other_text_is_a_range(text: str) -> None:
    """All else is refused, and told how it is written."""
    if not re.fullmatch(r"\d{1,5}-\d{1,5}", text):
        with pytest.raises(CommandError, match="50000-50100"):
            parse_range(text)
