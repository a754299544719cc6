"""Pictures and sound in one session: two functions, one set of controls."""

import asyncio
import re
import time
from typing import Annotated, Any

import cv2
import numpy as np
import pytest
from aiortc.rtp import RtcpSrPacket

from rtcstream import Block, Image, Samples, SignatureError, Stream, testing
from rtcstream.transport.sender import VideoSender
from tests.leaks import no_leaks
from tests.pictures import plain
from tests.sounds import RATE, tone
from tests.waiting import until

FRAME = RATE // 50
CODEC_DELAY = 2 * 312
"""Samples: what Opus looks ahead (RFC 6716 section 4.2), once for each of two encoders."""


def brighten(image: Image, amount: int = 0) -> Image:
    return cv2.add(image, np.full_like(image, amount))


def amplify(samples: Samples, amount: int = 0, echo: bool = False) -> Samples:
    return samples * (1 + amount / 100)


async def test_pictures_and_sound_in_one_session() -> None:
    """Two functions share the session and its controls; each sees those that it has."""
    stream = Stream(video=brighten, audio=amplify)
    described = stream.describe()
    assert (described["inputs"], described["outputs"]) == (["video", "audio"],) * 2
    assert [control["name"] for control in described["controls"]] == ["amount", "echo"]
    async with no_leaks(), testing.connect(stream, controls={"amount": 50}) as peer:
        picture = await peer.apply(plain((100, 100, 100)))
        sound = tone(440, 0.5)
        for begin in range(0, len(sound), FRAME):
            peer.send_sound(sound[begin : begin + FRAME])
            await asyncio.sleep(0.004)
        back = await peer.hear(0.5)
        assert peer.values == {"amount": 50, "echo": False}
        stats = await peer.message("stats")
    assert picture.mean() == pytest.approx(150, abs=5)
    assert np.abs(back).max() == pytest.approx(0.75, rel=0.1)
    assert stats["fps_in"] <= 5, "pictures are counted, and not packets of sound beside them"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"video": amplify}, SignatureError, "as video= it must take `image: Image`"),
        ({"audio": brighten}, SignatureError, "as audio= it must take `samples: Samples`"),
        ({"fn": brighten, "audio": amplify}, ValueError, "one function, or video= and audio="),
        ({}, ValueError, "one function, or video= and audio="),
    ],
)
def test_two_functions_that_do_not_fit(given: Any, error: type, words: str) -> None:
    """Each function must take what it is given for."""
    with pytest.raises(error, match=words):
        Stream(**given)


def test_controls_that_conflict() -> None:
    """One name is one control: two functions that mean different things by it are refused."""

    def other(samples: Samples, amount: float = 0.5) -> Samples:
        return samples

    with pytest.raises(SignatureError, match="a different control so called") as caught:
        Stream(video=brighten, audio=other)
    assert (caught.value.function, caught.value.parameter) == ("other", "amount")


# Lips and voice


def seen(image: Image) -> Image:
    return image


def heard(samples: Samples) -> Samples:
    return samples


def seen_late(image: Image) -> Image:
    time.sleep(0.08)
    return image


def heard_late(samples: Annotated[Samples, Block(seconds=0.1)]) -> Samples:
    time.sleep(0.08)
    return samples


@pytest.mark.parametrize(("video", "audio"), [(seen_late, heard), (seen, heard_late)])
async def test_a_flash_and_a_click_are_of_one_time(video: Any, audio: Any) -> None:
    """By the sender reports on the wire, a flash and a click that were captured together are of
    one time, within 5 ms, though one function takes 80 ms."""
    click = np.zeros(FRAME, np.float32)
    click[:96] = 0.9
    async with testing.connect(Stream(video=video, audio=audio)) as peer:
        reports = {kind: reported(peer, kind) for kind in ("video", "audio")}
        loop, origin = asyncio.get_running_loop(), peer._pts
        begun = loop.time()
        for number in range(150):  # 20 ms of sound each, and five pictures a second
            await asyncio.sleep(begun + number / 50 - loop.time())
            peer.send_sound(click if number == 50 else 0 * click)
            if number % 10 == 0:
                peer._pts = origin + number * 1800
                peer.send(plain((255 if number >= 50 else 0,) * 3, 64, 48))
        for each in reports.values():
            each.clear()
        await until(lambda: all(reports.values()))
        flash = next(at for at, picture in peer.pictures if picture.mean() > 128)
        at, part = next((at, part) for at, part in peer.sound if np.abs(part).max() > 8000)
        place = at + int(np.argmax(np.abs(part[:, 0]) > 8000)) - CODEC_DELAY
        shown, played = (
            wall(reports["video"][0], flash, 90_000),
            wall(reports["audio"][0], place, RATE),
        )
    print(f"{video.__name__}, {audio.__name__}: {1000 * (shown - played):.1f} ms")
    assert shown == pytest.approx(played, abs=0.005)


def reported(peer: testing.TestPeer, kind: str) -> list[RtcpSrPacket]:
    """The sender reports of a kind that come from now on."""
    reports: list[RtcpSrPacket] = []
    section = peer._connection.section(kind)
    assert section is not None
    receiver: Any = section.receiver
    handle = receiver._handle_rtcp_packet

    async def handling(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            reports.append(packet)
        await handle(packet)

    receiver._handle_rtcp_packet = handling
    return reports


def wall(report: RtcpSrPacket, timestamp: int, rate: int) -> float:
    """The time of an RTP timestamp, by a sender report (RFC 3550 section 6.4.1)."""
    info = report.sender_info
    ticks = (timestamp - info.rtp_timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
    return info.ntp_timestamp / 2**32 + ticks / rate


async def test_both_tracks_are_of_one_media_stream() -> None:
    """The answer names one MediaStream for both (`msid`, RFC 8830): browsers keep only such
    tracks together."""
    sessions = Stream(video=seen, audio=heard).sessions()
    async with testing.connect(sessions) as peer:
        answer = peer._connection.remoteDescription.sdp
    assert len(re.findall(r"^a=msid:", answer, re.MULTILINE)) == 2
    assert len(set(re.findall(r"^a=msid:(\S+)", answer, re.MULTILINE))) == 1


async def test_pictures_may_wait_for_their_sound() -> None:
    """Beside sound, a browser is not asked to show each picture at once: it could not wait."""
    for stream, latency in ((Stream(seen), "auto"), (Stream(video=seen, audio=heard), "smooth")):
        async with testing.connect(stream) as peer:
            assert peer.session is not None
            [video] = [each for each in peer.session._wiring.senders if each.kind == "video"]
            assert isinstance(video, VideoSender) and video.latency == latency
