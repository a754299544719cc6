"""Two peers on a network that loses packets: what is asked for again, and what is not."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from aiortc.rtp import is_rtcp

from rtcstream import Image, Stream, testing
from rtcstream.transport.encoder import Encoded
from rtcstream.transport.receiver import VideoReceiver
from rtcstream.transport.sender import VideoSender
from tests.pictures import difference, scene
from tests.waiting import until


def same(image: Image) -> Image:
    return image


def ends(peer: testing.TestPeer) -> list[VideoSender]:
    """The senders of both peers: the camera's and the server's."""
    assert peer.session is not None
    [theirs] = peer.session._wiring.senders
    senders = [peer._senders["video"], theirs]
    assert all(isinstance(sender, VideoSender) for sender in senders)
    return senders  # type: ignore[return-value]


def lose(peer: testing.TestPeer, lost: Callable[[bytes], bool]) -> None:
    """Let both ends miss the RTP and RTCP packets of which this is true; encrypted, but for RTP's
    header and the type of RTCP."""
    for sender in ends(peer):
        connection: Any = sender.transport.transport._connection

        def take(data: bytes, component: int, take: Any = connection.data_received) -> None:
            if not 128 <= data[0] < 192 or not lost(data):
                take(data, component)

        connection.data_received = take


def count_keyframes(peer: testing.TestPeer) -> list[int]:
    """The keyframes that either end sends from now on."""
    counts = [0, 0]
    for index, sender in enumerate(ends(peer)):

        def deliver(
            encoded: Encoded, pts: int, index: int = index, deliver: Any = sender.deliver
        ) -> None:
            counts[index] += encoded.keyframe
            deliver(encoded, pts)

        sender.deliver = deliver  # type: ignore[method-assign]
    return counts


async def test_a_tenth_lost_both_ways() -> None:
    """Pictures go on, each as it should be, without further keyframes: what is lost comes again."""
    dice = random.Random(1)
    async with testing.connect(Stream(same)) as peer:
        await peer.apply(scene())
        keyframes = count_keyframes(peer)
        lose(peer, lambda data: dice.random() < 0.1)
        sent = []
        for _ in range(150):
            sent.append(peer.send(scene()))
            await asyncio.sleep(0.02)
        last = sent[-1]
        await until(lambda: peer.pictures and (last - peer.pictures[-1][0]) & 0xFFFFFFFF < 30_000)
        came = {at for at, _ in peer.pictures}
        assert len(came & set(sent[-90:])) > 60
        assert difference(peer.pictures[-1][1], scene()) < 12
        assert max(keyframes) <= 1, "one, at most, where this machine stands still"
        assert all(sender._writer is not None and sender._writer.resent for sender in ends(peer))


@pytest.mark.parametrize("end", [0, 1])
async def test_the_last_packet_of_a_keyframe(end: int) -> None:
    """Where nothing follows that would show that it is missing, a whole picture is asked for."""
    async with testing.connect(Stream(same)) as peer:
        source = ends(peer)[end]._ssrc.to_bytes(4, "big")
        missed: list[bytes] = []

        def lost(data: bytes) -> bool:
            marker = data[1] & 0x80 and not is_rtcp(data)
            if missed or data[8:12] != source or not marker:
                return False
            missed.append(data)
            return True

        lose(peer, lost)
        peer.send(scene())
        await until(lambda: peer.pictures)
        assert missed
        assert difference(peer.pictures[-1][1], scene()) < 12


async def test_a_lost_packet_is_asked_for_at_once() -> None:
    """With pictures behind it, a packet of a keyframe that is lost comes again by itself."""
    async with testing.connect(Stream(same)) as peer:
        _, back = ends(peer)
        keyframes = count_keyframes(peer)
        source, came = back._ssrc.to_bytes(4, "big"), []

        def lost(data: bytes) -> bool:
            if is_rtcp(data) or data[8:12] != source:
                return False
            came.append(data)
            return len(came) == 2  # before the first, nobody knows of any

        lose(peer, lost)
        sending = asyncio.create_task(send_on(peer))
        await until(lambda: len(peer.pictures) > 5)
        sending.cancel()
        assert back._writer is not None and back._writer.resent
        assert keyframes[0] == 1 and keyframes[1] <= 2, "one more where this machine stands still"


async def send_on(peer: testing.TestPeer) -> None:
    while True:
        peer.send(scene())
        await asyncio.sleep(0.02)


async def test_nothing_is_asked_for_after_the_end() -> None:
    """A receiver that waits for what is missing has no task left when it has stopped."""
    async with testing.connect(Stream(same)) as peer:
        await peer.apply(scene())
        assert peer.session is not None
        [receiver] = peer.session._wiring.receivers
        assert isinstance(receiver, VideoReceiver)
        lose(peer, lambda data: True)
        receiver._buffer.lose()
        receiver._recovering = recovering = asyncio.create_task(receiver._recover())
        await asyncio.sleep(0)
    await until(recovering.done)
    assert recovering.cancelled()
