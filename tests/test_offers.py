"""What of an offer is checked before it is answered, and in which words it is refused."""

import asyncio
import re
from typing import Any

import pytest
from aiortc.sdp import SessionDescription

from rtcstream import Image, Stream, testing
from rtcstream.errors import NegotiationError
from rtcstream.signaling import Problem
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.offers import read_offer
from rtcstream.types import Peer
from tests.conftest import Leaks
from tests.fuzzing import CORPUS
from tests.pictures import scene

LOCAL = IceOptions(addresses=LOOPBACK)
CHROMIUM = CORPUS["chromium"]


def flip(image: Image) -> Image:
    return image[::-1]


async def answer_to(offer: str) -> SessionDescription:
    sessions = Stream(flip).sessions()
    try:
        _, answer = await sessions.connect(offer, {}, Peer(None, {}), LOCAL)
    finally:
        await sessions.end_all("the test is over")
    return SessionDescription.parse(answer)


@pytest.mark.parametrize("name", CORPUS)
def test_offers_of_others_are_read(name: str) -> None:
    """What Chromium, Firefox, FFmpeg, OBS and GStreamer offer is accepted as it is."""
    _, description = read_offer(CORPUS[name])
    assert {media.kind for media in description.media} >= {"video"}


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        ("a=group:BUNDLE 0 1 2", "a=group:BUNDLE nobody 0 1 2", "BUNDLE group with 'nobody'"),
        ("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 0 1 2", "BUNDLE group with '0' twice"),
        ("a=mid:1", "a=mid:0", "2 media sections of the mid '0'"),
        ("a=mid:1", "a=x", "without a=mid"),
        ("a=mid:1", "a=mid", "a=mid without a value"),
        ("a=mid:1", "a=mid:\u00e4 b", r"section 2 \(video\) of the offer has a mid"),
        ("a=setup:actpass", "a=x", r"section 1 \(audio\) of the offer has no a=setup"),
        ("a=fingerprint:sha-256 ..", "a=fingerprint:sha-256 zz", "32 bytes in hexadecimal"),
        ("a=fingerprint:sha-256", "a=fingerprint:md5", "by any of sha-256"),
        ("a=sctp-port:5000", "a=x", r"section 3 \(application\).*sctp-port"),
        ("a=sctp-port:5000", "a=sctp-port:70000", "from 1 to 65535"),
        ("a=max-message-size:262144", "a=max-message-size:-1", "below zero"),
        ("a=rtcp-mux\r?\n", "", "has no a=rtcp-mux"),
        ("a=rtpmap:97 rtx/90000", "a=rtpmap:96 H264/90000", "payload type 96 2 times"),
        ("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8/many", "line 'a=rtpmap:96 VP8/many'"),
        (
            "UDP/DTLS/SCTP webrtc-datachannel",
            "DTLS/SCTP  ",
            r"section 3 \(application\).*lists no formats",
        ),
        ("m=video [0-9]+", "m=hologram 9", "unknown kind: 'hologram'"),
        ("m=video [0-9]+", "m=video many", "at the line 'm=video many"),
    ],
)
def test_words_of_a_refusal(pattern: str, replacement: str, words: str) -> None:
    """An offer that does not add up is refused, naming the section or line and what is wrong."""
    offer = re.sub(pattern, replacement, CHROMIUM)
    assert offer != CHROMIUM
    with pytest.raises(NegotiationError, match=words):
        read_offer(offer)


async def test_group_of_nobody_leaves_nothing_behind(
    leaks: Leaks, caplog: pytest.LogCaptureFixture
) -> None:
    """A BUNDLE group of an unknown section is a 400; before, its sockets stayed open for good."""
    await answer_to(CHROMIUM)
    async with leaks():
        with pytest.raises(Problem, match=r"400 Offer not accepted.*nobody"):
            await answer_to(CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE nobody 0 1 2"))
    assert not caplog.records


async def test_candidate_with_an_impossible_port_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A candidate with a port beyond 65535 is left out; before, it closed the server's socket, with
    one UDP port for all that of everybody."""
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
        candidate = "a=candidate:1 1 udp 2122260223 127.0.0.1 70000 typ host\n"
        await answer_to(CHROMIUM.replace("a=ice-ufrag:", candidate + "a=ice-ufrag:"))
        await asyncio.sleep(0)
    assert not caplog.records


@pytest.mark.parametrize("number", [45, 130])
async def test_codec_of_another_number_is_not_answered(number: int) -> None:
    """An answer never has a payload type that the offer has not: aiortc would make one up."""
    offer = re.sub(rf"(a=[a-z-]+:){number} .*\n", "", CHROMIUM)
    offer = re.sub(rf"(m=video .*?) {number}\b", r"\1", offer)
    offer = re.sub(r"\b96\b", str(number), offer)
    [video] = [media for media in (await answer_to(offer)).media if media.kind == "video"]
    assert video.fmt and set(video.fmt) <= set(map(int, offered(offer, "video")))


async def test_format_that_is_not_offered_is_left_out() -> None:
    """An `a=rtpmap` of a format that its `m=` line does not have is no codec."""
    offer = CHROMIUM.replace("a=rtpmap:96 ", "a=rtpmap:127 VP8/90000\na=rtpmap:96 ", 1)
    offer = re.sub(r"(m=video .*) 127\b", r"\1", offer)
    [video] = [media for media in (await answer_to(offer)).media if media.kind == "video"]
    assert video.fmt and 127 not in video.fmt


@pytest.mark.parametrize("number", ["0", "15", "300", "same"])
async def test_extension_of_an_impossible_number_is_left_out(number: str) -> None:
    """Header extensions are answered under numbers that packets can carry, each once."""
    mid, time = "urn:ietf:params:rtp-hdrext:sdes:mid", "rtp-hdrext/abs-send-time"
    taken = re.search(rf"a=extmap:(\d+) \S*{time}", CHROMIUM)
    assert taken is not None
    offer = re.sub(rf"a=extmap:\d+ {mid}", f"a=extmap:{number} {mid}", CHROMIUM)
    offer = offer.replace("a=extmap:same", f"a=extmap:{taken[1]}")
    for media in (await answer_to(offer)).media:
        numbers = [each.id for each in media.rtp.headerExtensions]
        assert len(set(numbers)) == len(numbers)
        assert all(1 <= each <= 14 for each in numbers)


async def test_section_without_a_direction_is_sent_and_received() -> None:
    """No direction means `sendrecv` (RFC 8866 section 6.7), and is answered."""
    [video] = [
        media
        for media in (await answer_to(re.sub(r"a=sendrecv\n", "", CHROMIUM))).media
        if media.kind == "video"
    ]
    assert video.direction == "sendrecv"


async def test_no_codec_in_common_is_said() -> None:
    """An offer of codecs that nobody here has is told which there are."""
    offer = re.sub(r"(a=rtpmap:\d+) \S+/90000", r"\1 AV1/90000", CHROMIUM)
    with pytest.raises(Problem, match=r"VP8, H\.264"):
        await answer_to(offer)


def offered(offer: str, kind: str) -> list[Any]:
    found = re.search(rf"m={kind} \d+ \S+ (.*)", offer)
    assert found is not None
    return found[1].split()
