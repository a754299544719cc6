"""A real TURN server that shares a secret with us lets in who has our credentials."""

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.coturn import SECRET, Coturn
from rtcstream.transport import ice
from rtcstream.transport.ice import LOOPBACK
from rtcstream.transport.peer import PeerConnection
from rtcstream.turn import ice_options, resolved


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK[0], 0))
        port: int = probe.getsockname()[1]
        return port


async def relayed(url: str, secret: str) -> bool:
    """Whether a connection of ours gets an address of the relay."""
    options = await resolved(ice_options([url], secret), "ann")
    assert options is not None
    connection = PeerConnection(replace(options, addresses=LOOPBACK))
    connection.addTransceiver("video", "sendrecv")
    await connection.setLocalDescription(await connection.createOffer())
    await connection.close_within(2)
    return "typ relay" in connection.localDescription.sdp


async def test_a_server_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a TURN server does not answer, an offer is answered without it, in time for a page that
    reconnects."""
    assert ice.SERVER_SECONDS < 4
    monkeypatch.setattr(ice, "SERVER_SECONDS", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOOPBACK[0], 0))
        start = time.monotonic()
        assert not await relayed(f"turn:{LOOPBACK[0]}:{silent.getsockname()[1]}", "north")
    assert 1 <= time.monotonic() - start < 2.5


async def test_shared_secret(tmp_path: Path) -> None:
    """Credentials of the server's own secret get a relayed address; those of another do not."""
    async with Coturn(LOOPBACK[0], tmp_path / "coturn", free_port()) as coturn:
        assert await relayed(coturn.url, SECRET)
        assert not await relayed(coturn.url, "south")
