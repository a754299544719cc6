"""What is encoded of a shared run, and for whom."""

import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from rtcstream import Image, Samples, Stream, testing
from rtcstream.signaling import Problem
from rtcstream.transport.encoding import VideoEncoding
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.peer import PeerConnection
from rtcstream.types import Peer
from tests.pictures import plain, scene
from tests.waiting import until


async def test_slow_viewer_does_not_slow_the_others() -> None:
    """A viewer whose network takes a tenth gets keyframes only and is told so; the rest is as it
    was."""

    def moving() -> Iterator[Image]:
        for number in itertools.count():
            yield np.roll(scene(), number * 4, axis=1)
            time.sleep(0.02)

    sessions = Stream(moving, shared=True).sessions()
    async with testing.connect(sessions) as fast, testing.connect(sessions) as slow:
        await until(lambda: len(fast.pictures) > 5 and len(slow.pictures) > 5)
        estimates: list[tuple[Any, int]] = [(fast, 2_000_000), (slow, 200_000)]
        encoding: Any = None
        for peer, estimate in estimates:
            sender = peer.session._wiring.senders[0]
            sender._on_estimate = lambda fci, asked: None  # what the machine's own network says
            sender._bitrate._by_estimate = estimate
            encoding = sender._encoding
        assert isinstance(encoding, VideoEncoding)
        encoding._retarget()
        assert encoding._encoder.target == 2_000_000
        log = await slow.message("log", level="warning")
        assert "your network takes less" in log["message"]
        slow.pictures.clear()
        before = len(fast.pictures)
        await until(lambda: len(slow.pictures) >= 1)  # the next keyframe for the slow ones
        assert len(fast.pictures) - before > 10 * len(slow.pictures) or len(fast.pictures) == 100
        slow.session._wiring.senders[0]._bitrate._by_estimate = 2_000_000  # type: ignore[union-attr]
        encoding._retarget()
        await until(lambda: len(slow.pictures) > 10)


async def test_estimate_beyond_the_stream_slows_nobody() -> None:
    """A viewer who claims to take more than is ever sent makes none of the others slow."""

    def once() -> Iterator[Image]:
        yield scene()

    sessions = Stream(once, shared=True, bitrate=1_000_000).sessions()
    async with testing.connect(sessions) as usual, testing.connect(sessions) as boasting:
        await until(lambda: bool(usual.pictures) and bool(boasting.pictures))
        for peer, estimate in ((usual, 700_000), (boasting, 1 << 80)):
            sender: Any = peer.session._wiring.senders[0]  # type: ignore[union-attr]
            sender._on_estimate = lambda fci, asked: None
            sender._bitrate._by_estimate = estimate
        sender._encoding._retarget()
        assert not sender._encoding._slow and sender._encoding._encoder.target == 700_000


async def test_codec_that_nobody_watches_is_not_encoded() -> None:
    """Pictures of a broadcast are encoded only while there is a viewer of that codec."""

    def moving() -> Iterator[Image]:
        for number in itertools.count():
            yield plain((number % 200,) * 3, 64, 48)
            time.sleep(0.02)

    sessions = Stream(moving, shared=True).sessions()
    async with testing.connect(sessions, watch=True) as peer:
        codec = RTCRtpCodecParameters("video/H264", clockRate=90_000)
        encoding: Any = sessions._run.broadcast.encoding("video", codec)  # type: ignore[union-attr]
        encoding.start()
        await until(lambda: encoding._last is not None and len(peer.pictures) > 10)
        assert encoding._encoder._encoder is None


async def test_sound_of_a_shared_run_is_opus() -> None:
    """A viewer who prefers another codec is sent Opus, and one without it is refused: there is one
    queue, and one reader of it."""

    def tone() -> Iterator[Samples]:
        yield np.full(960, 0.1, np.float32)

    sessions = Stream(tone, shared=True).sessions()
    ice = IceOptions(addresses=LOOPBACK)
    codecs = {each.mimeType: each for each in RTCRtpSender.getCapabilities("audio").codecs}

    async def answer(*wanted: str) -> str:
        connection = PeerConnection(ice)
        try:
            transceiver = connection.addTransceiver("audio", direction="recvonly")
            transceiver.setCodecPreferences([codecs[name] for name in wanted])
            await connection.setLocalDescription(await connection.createOffer())
            offer = connection.localDescription.sdp
            session, answer = await sessions.connect(offer, {}, Peer(None, {}), ice)
            await session.end("seen")
            return answer
        finally:
            await connection.close()

    sdp = await answer("audio/PCMU", "audio/opus")
    number = re.search(r"a=rtpmap:(\d+) opus", sdp)
    assert number is not None and re.search(rf"m=audio \d+ \S+ {number[1]} ", sdp)
    with pytest.raises(Problem, match="opus"):
        await answer("audio/PCMU")
