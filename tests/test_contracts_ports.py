"""What `rtcstream/transport`'s UDP ports touch of aioice, held to what it has.

As in `test_contracts.py`: an upgrade that renames or reshapes one of these fails here, by its name.
"""

import asyncio
import inspect
from typing import Any

import pytest
from aioice import Candidate, Connection, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, get_host_addresses, server_reflexive_candidate
from aioice.utils import random_string

from rtcstream.transport.ice import LOOPBACK, UFRAG_LENGTH, IceOptions
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.ports import SharedPort


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_what_a_connection_gathers_by() -> None:
    """One method makes all candidates; ours stands in its place, and leaves it TURN."""
    connection = Connection(ice_controlling=False)
    wanted = ["component", "addresses", "timeout"]
    assert parameters(connection.get_component_candidates) == wanted
    source = inspect.getsource(Connection.gather_candidates)
    assert "self.get_component_candidates(component=component, addresses=addresses)" in source
    assert connection._protocols == [] and connection.stun_server is None
    assert "for protocol in self._protocols:" in inspect.getsource(Connection.close)
    assert "self._protocols" in inspect.getsource(Connection._pair_remote_candidate)
    assert parameters(server_reflexive_candidate) == ["protocol", "stun_server"]
    assert parameters(get_host_addresses) == ["use_ipv4", "use_ipv6"]


def test_what_a_candidate_is_made_of() -> None:
    """A candidate of the host has what is announced of it in attributes that can be changed."""
    foundation = candidate_foundation("host", "udp", "192.0.2.1")
    priority = candidate_priority(1, "host")
    candidate = Candidate(foundation, 1, "udp", priority, "192.0.2.1", 9, "host")
    candidate.host, candidate.foundation = "203.0.113.7", "f"
    assert candidate.to_sdp().startswith(f"f 1 udp {priority} 203.0.113.7 9 typ host")


def test_our_name_for_a_connection_is_told() -> None:
    """The username fragment may be replaced before anybody has heard of it."""
    connection = Connection(ice_controlling=False)
    assert len(connection.local_username) == 4
    connection._local_username = name = random_string(UFRAG_LENGTH)
    assert connection.local_username == name and len(name) == UFRAG_LENGTH
    assert connection._valid_username(f"{name}:abcd")


async def test_each_section_that_is_not_bundled_has_a_name_of_its_own() -> None:
    """aiortc gives all connections of a peer one username fragment; on one port they differ."""
    ports = SharedPort(0)
    connection = PeerConnection(IceOptions(addresses=LOOPBACK, ports=ports))
    connection.addTransceiver("video", "sendrecv")
    connection.createDataChannel("rtcstream")
    offer = await connection.createOffer()
    names = {line for line in offer.sdp.splitlines() if line.startswith("a=ice-ufrag:")}
    assert len(names) == 2
    await connection.setLocalDescription(offer)
    [shared] = ports.sockets.values()
    assert len(shared) == 2
    await connection.close()
    assert len(shared) == 0
    await ports.close()


async def test_what_a_protocol_is_to_its_connection() -> None:
    """It sends by its transport alone, awaits its end when it closes, and keeps transactions by
    their ids, for as long as one is asked for."""
    connection = Connection(ice_controlling=False)
    protocol = StunProtocol(connection)
    assert protocol.receiver is connection and protocol.transactions == {}
    wanted = ["request", "addr", "integrity_key", "retransmissions"]
    assert parameters(protocol.request) == wanted
    assert parameters(stun.Transaction.response_received) == ["self", "message", "addr"]
    assert parameters(connection.request_received) == ["message", "addr", "protocol"]
    source = inspect.getsource(StunProtocol)
    for call in ("self.transport.sendto(bytes(message), addr)", "self.transport.close()"):
        assert call in source

    class Ends(asyncio.DatagramTransport):
        def close(self) -> None:
            protocol.connection_lost(None)

    protocol.connection_made(Ends())
    await asyncio.wait_for(protocol.close(), 1)


def test_how_stun_is_read() -> None:
    """The parser checks no integrity, which we do before an address counts."""
    assert stun.HEADER_LENGTH == 20
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = "one:two"
    message.add_message_integrity(b"password")
    data = bytes(message)
    assert data[0] < 4 and data[4:8] == bytes.fromhex("2112a442")
    read = stun.parse_message(data)
    assert read.message_class == stun.Class.REQUEST
    assert read.attributes["USERNAME"] == "one:two"
    assert read.check_message_integrity(b"password")
    assert not read.check_message_integrity(b"another")
    with pytest.raises(ValueError):
        stun.parse_message(data[:-1])
