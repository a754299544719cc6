"""Mutated offers that begin sessions, and mutated requests to a server: `benchmarks.fuzz`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from unittest import mock

from aiortc import RTCSessionDescription

from rtcstream import Image, Samples, Stream
from rtcstream.limits import LIFTED
from rtcstream.negotiator import Sessions
from rtcstream.signaling import Problem
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.peer import PeerConnection
from rtcstream.types import Peer
from tests.fuzzing import Case, Failed, check_answer, check_words, controlled
from tests.mutations import mutated_lines

LONGEST = 10.0
"""Seconds that one case may take on a machine with other things to do."""
MEETING = 0.3
"""Seconds for a peer to connect in, and to be connected."""
LOCAL = IceOptions(addresses=LOOPBACK, limits=LIFTED)


def heard(samples: Samples) -> Samples:
    """A filter of sound."""
    return samples


def shown(times: int = 3) -> Iterator[Image]:
    """A generator of nothing."""
    yield from ()


def streams() -> dict[str, Stream]:
    """One of each way that an offer can be used."""

    def seen(image: Image) -> Image:
        return image

    return {
        "filter": Stream(controlled),
        "both": Stream(video=seen, audio=heard),
        "generator": Stream(shown),
        "shared": Stream(seen, shared=True),
    }


@contextlib.asynccontextmanager
async def all_sessions() -> AsyncIterator[dict[str, Sessions]]:
    """The sessions of each of the streams."""
    made = {name: stream.sessions() for name, stream in streams().items()}
    try:
        yield made
    finally:
        for sessions in made.values():
            await sessions.end_all("the test is over")


async def negotiate(case: Case, sessions: dict[str, Sessions]) -> bool:
    """Begin a session with a mutated offer, and end it; whether it was accepted. Raises Failed."""
    offer, name = case.text(), case.random.choice(list(sessions))
    try:
        async with asyncio.timeout(LONGEST):
            try:
                session, answer = await sessions[name].connect(offer, {}, Peer("::1", {}), LOCAL)
            except Problem as problem:
                check_words(problem.detail)
                assert problem.status in (400, 409), problem
                return False
            finally:
                for _ in range(case.random.randrange(4)):
                    await asyncio.sleep(0)
            try:
                check_answer(offer, answer)
            finally:
                await session.end("the case is over")
        assert not len(sessions[name])
    except (Exception, asyncio.CancelledError) as error:
        raise Failed(case.told(offer, error)) from error
    return True


async def meet(case: Case, sessions: dict[str, Sessions]) -> bool:
    """Connect a peer whose own offer is mutated, as far as that goes; whether media could flow.
    Raises Failed."""
    random, offer = case.random, ""
    name = random.choice(["filter", "generator", "shared"])
    peer = PeerConnection(LOCAL)
    try:
        async with asyncio.timeout(LONGEST):
            peer.createDataChannel("rtcstream").on("open", lambda: None)
            for kind in ("video", "audio"):
                peer.addTransceiver(kind, "sendrecv")
            await peer.setLocalDescription(await peer.createOffer())
            offer = mutated_lines(peer.localDescription.sdp, random)
            try:
                session, answer = await sessions[name].connect(offer, {}, Peer("::1", {}), LOCAL)
            except Problem as problem:
                check_words(problem.detail)
                return False
            check_answer(offer, answer)
            connected = asyncio.Event()
            session.once("connected", connected.set)
            with contextlib.suppress(
                Exception
            ):  # of what it never offered, it may say what it likes
                await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
                async with asyncio.timeout(MEETING):
                    await connected.wait()
                    await session.closed.wait()
            await session.end("the case is over")
            return connected.is_set()
    except (Exception, asyncio.CancelledError) as error:
        raise Failed(case.told(offer, error)) from error
    finally:
        await peer.close_within(2.0)


def on_loopback() -> contextlib.AbstractContextManager[object]:
    """Whatever addresses this machine has, servers use its loopback's only."""
    found = mock.Mock(return_value=[*LOOPBACK])
    return mock.patch("aioice.ice.get_host_addresses", found)
