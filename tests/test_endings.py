"""Every session ends, promptly, and leaves nothing behind."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiortc import RTCSessionDescription

from rtcstream import Image, Session, Stream, session, testing
from rtcstream.errors import NegotiationError
from rtcstream.signaling import Problem
from rtcstream.transport import peer as peer_module
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.peer import PeerConnection
from rtcstream.types import Peer
from tests.conftest import Leaks, Serve
from tests.pictures import scene


def flip(image: Image) -> Image:
    return image[::-1]


@asynccontextmanager
async def offering(
    ice: IceOptions = testing.LOCAL,
) -> AsyncIterator[tuple[PeerConnection, str]]:
    """A peer that offers to send and receive video, and its offer."""
    connection = PeerConnection(ice)
    connection.addTransceiver("video", "sendrecv")
    connection.createDataChannel("rtcstream")
    try:
        await connection.setLocalDescription(await connection.createOffer())
        yield connection, connection.localDescription.sdp
    finally:
        await connection.close_within(2)


async def connected(connection: PeerConnection, answer: RTCSessionDescription) -> None:
    """Take the answer, and wait until media can flow."""
    event = asyncio.Event()

    def changed() -> None:
        if connection.connectionState == "connected":
            event.set()

    connection.on("connectionstatechange", changed)
    await connection.setRemoteDescription(answer)
    await asyncio.wait_for(event.wait(), 5)


async def test_a_session_leaves_nothing_behind(leaks: Leaks) -> None:
    """Tasks, threads and descriptors are as before when a session has ended."""
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
    async with leaks(), testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())


@pytest.mark.slow
async def test_a_hundred_sessions_leave_what_one_does(leaks: Leaks) -> None:
    """100 sessions in a row, each with media, leave the same tasks, threads and descriptors."""
    sessions = Stream(flip).sessions()
    async with testing.connect(sessions) as peer:
        await peer.apply(scene(160, 120))
    async with leaks():
        for _ in range(100):
            async with testing.connect(sessions) as peer:
                await peer.apply(scene(160, 120))
    assert len(sessions) == 0


async def test_an_offer_that_never_connects_is_given_up(
    leaks: Leaks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ghost offer is gone with its sockets when its time is over, which is under 15 s."""
    assert session.CONNECT_TIMEOUT <= 13
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 0.5)
    sessions = Stream(flip).sessions()
    async with offering() as (_, offer), leaks():
        for _ in range(5):
            await sessions.connect(offer, {}, Peer(None, {}), IceOptions(addresses=LOOPBACK))
        assert len(sessions) == 5
        async with asyncio.timeout(5):
            while len(sessions):  # noqa: ASYNC110 - five sessions, no one event
                await asyncio.sleep(0.05)


async def test_an_answer_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is given up while the offer is being answered may try again: 503, not a bad offer."""

    async def never(self: PeerConnection) -> str:
        while self.signalingState != "closed":  # noqa: ASYNC110 - aiortc has no event for it
            await asyncio.sleep(0.01)
        raise NegotiationError("the offer cannot be answered: it is closed")

    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(PeerConnection, "answer", never)
    sessions = Stream(flip).sessions()
    async with offering() as (_, offer):
        with pytest.raises(Problem) as refused:
            await sessions.connect(offer, {}, Peer(None, {}), IceOptions(addresses=LOOPBACK))
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"] == "1"
    assert len(sessions) == 0


async def test_sockets_that_do_not_close_hold_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TURN server that is gone holds up the end no longer than was asked for; all is closed, or
    on its way."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    connection.addTransceiver("video", "recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    ice = connection.getTransceivers()[0].receiver.transport.transport
    stop, gone, stopped = ice.stop, asyncio.Event(), asyncio.Event()

    async def late() -> None:
        await gone.wait()
        await stop()
        stopped.set()

    monkeypatch.setattr(ice, "stop", late)
    async with asyncio.timeout(5):
        await connection.close_within(0.1)
    assert not stopped.is_set()
    gone.set()
    async with asyncio.timeout(5):
        await stopped.wait()
        while peer_module._late:  # noqa: ASYNC110 - tasks that end by themselves
            await asyncio.sleep(0.01)


async def test_refused_offers_leave_nothing_behind(leaks: Leaks) -> None:
    """Garbage, empty and unusable offers are refused without a trace."""
    sessions = Stream(flip).sessions()
    async with offering() as (_, offer):
        bad = [
            "",
            "hello",
            "v=0\r\n",
            "m=video 9 X 1\r\n",
            offer.replace("a=fingerprint", "a=finger"),
            offer.replace("a=ice-ufrag", "a=ice"),
            offer.replace("VP8", "VP7").replace("H264", "H263"),
            offer.replace("m=video", "m=text"),
            offer.replace("m=video", "m=audio"),
            offer + offer[offer.index("m=") :] * 9,
            offer.replace("a=mid:0", "a=mid:1"),
            offer.replace("a=setup:actpass", "a=setup:nonsense"),
            offer.replace("a=rtpmap:97 VP8/90000", "a=rtpmap:97 VP8/fast"),
            "\0" * 1000,
            "a=" * 10_000,
        ]
        async with leaks():
            for text in bad:
                with pytest.raises(Problem) as refused:
                    await sessions.connect(text, {}, Peer(None, {}), IceOptions(addresses=LOOPBACK))
                assert refused.value.status == 400, text[:100]
    assert len(sessions) == 0


async def test_viewer_of_a_filter_is_told_there_is_nothing() -> None:
    """A `recvonly` offer to a filter is a 409 with Retry-After."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    connection.addTransceiver("video", "recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    with pytest.raises(Problem) as refused:
        await (
            Stream(flip)
            .sessions()
            .connect(
                connection.localDescription.sdp, {}, Peer(None, {}), IceOptions(addresses=LOOPBACK)
            )
        )
    assert refused.value.status == 409
    assert "Retry-After" in refused.value.headers
    await connection.close_within(2)


async def test_publisher_and_spare_sections() -> None:
    """A `sendonly` offer runs the function without a way back; audio is answered inactive."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    connection.addTransceiver("audio", "sendrecv")
    connection.addTransceiver("video", "sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    sessions = Stream(flip).sessions()
    opened, answer = await sessions.connect(
        connection.localDescription.sdp, {}, Peer(None, {}), IceOptions(addresses=LOOPBACK)
    )
    await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    audio, video = (t.currentDirection for t in connection.getTransceivers())
    assert (audio, video) == ("inactive", "sendonly")
    await opened.end("done")
    await connection.close_within(2)


async def test_peer_that_closes_ends_its_session() -> None:
    """When the peer closes its connection, the session ends by itself."""
    sessions = Stream(flip).sessions()
    async with testing.connect(sessions) as peer:
        await peer.apply(scene())
        assert peer.session is not None
        await peer._connection.close_within(2)
        await asyncio.wait_for(peer.session.closed.wait(), 5)
    assert len(sessions) == 0


async def test_stopping_server_ends_its_sessions(serve: Serve, leaks: Leaks) -> None:
    """A server that stops ends its sessions with it, and refuses new ones meanwhile."""
    headers = {"Content-Type": "application/sdp"}
    async with (
        leaks(),
        offering() as (connection, offer),
        serve(Stream(flip)) as url,
        aiohttp.ClientSession() as client,
        client.post(url + "session", data=offer, headers=headers) as response,
    ):
        assert response.status == 201
        answer = RTCSessionDescription(sdp=await response.text(), type="answer")
        await connected(connection, answer)


PROGRAM = """
import threading
from rtcstream import Image, Stream

def hang(image: Image) -> Image:
    threading.Event().wait()

stream = Stream(hang)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_within_two_seconds(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Ctrl-C and SIGTERM end the program in 2 s, though a function hangs in a live session."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtcstream", str(program), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        url = next(word for word in line.split() if word.startswith("http://"))
        async with offering() as (connection, offer), aiohttp.ClientSession() as client:
            headers = {"Content-Type": "application/sdp"}
            async with client.post(url + "session", data=offer, headers=headers) as response:
                answer = RTCSessionDescription(sdp=await response.text(), type="answer")
            await connected(connection, answer)
            started = time.monotonic()
            process.send_signal(number)
            assert await asyncio.wait_for(process.wait(), 10) == 0
            assert time.monotonic() - started < 2
        assert b"Traceback" not in await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_session_outlived_by_its_function_may_still_be_spoken_to() -> None:
    """What a function says after the server's end does nothing, and raises nothing."""
    kept: list[Session] = []

    def keep(image: Image, session: Session) -> Image:
        kept.append(session)
        return image

    testing.run(Stream(keep), [scene()])
    [session] = kept
    session.send(1)
    session.info("still here")
    session.progress(0.5)
    session.close()
    assert session.receive() == []


LEAVES = """
import asyncio
import time
import cv2
import numpy as np
from rtcstream import Image, Stream, testing

begun = asyncio.Event()

def slow(image: Image) -> Image:
    loop.call_soon_threadsafe(begun.set)
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        cv2.GaussianBlur(image, (31, 31), 0)  # in C++, without the interpreter
    return image

async def main() -> None:
    global loop
    loop = asyncio.get_running_loop()
    async with testing.connect(Stream(slow)) as peer:
        peer.send(np.zeros((480, 640, 3), np.uint8))
        await begun.wait()

asyncio.run(main())
"""


async def test_a_program_that_ends_in_the_middle_of_a_call() -> None:
    """A call that is in C++ as the program ends is waited for a moment: it would come back to an
    interpreter that is gone, and abort the process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LEAVES), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, stderr) == (0, b"")
