"""A real TURN server that shares a secret with us lets in who has our credentials."""

import asyncio
import contextlib
import shutil
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtcstream.transport import ice
from rtcstream.transport.ice import LOOPBACK
from rtcstream.transport.peer import PeerConnection
from rtcstream.turn import ice_options, resolved


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK[0], 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def coturn(secret: str, folder: Path) -> AsyncIterator[str]:
    """coturn on the loopback interface; yields its address."""
    executable = shutil.which("turnserver")
    if executable is None:
        pytest.fail("no `turnserver` on the PATH: `make test` installs it")
    port, config = free_port(), folder / "turnserver.conf"
    config.write_text(
        f"use-auth-secret\nstatic-auth-secret={secret}\nrealm=rtcstream.test\n"
        f"listening-ip={LOOPBACK[0]}\nrelay-ip={LOOPBACK[0]}\nlistening-port={port}\n"
        f"no-cli\nno-tls\nno-dtls\nno-tcp\nrelay-threads=1\nlog-file=stdout\n"
        f"pidfile={folder / 'pid'}\nuserdb={folder / 'db'}\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(executable, "-c", str(config)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"turn:{LOOPBACK[0]}:{port}"
    finally:
        process.terminate()
        await process.wait()


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
    async with coturn("north", tmp_path) as url:
        async with asyncio.timeout(20):
            while not await relayed(url, "north"):  # noqa: ASYNC110 - until it listens
                await asyncio.sleep(0.1)
        assert not await relayed(url, "south")
