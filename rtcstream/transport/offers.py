"""Offers of anybody: read, bounded and checked before aiortc makes anything of them.

aiortc takes most offers at their word, and what does not add up in them is met later, where nobody
can be told: a group of sections that are not there, two sections of one name, a port of nothing.
"""

import re
from collections import Counter
from collections.abc import Iterator

from aiortc import RTCIceParameters
from aiortc.sdp import MediaDescription, SessionDescription

from ..errors import NegotiationError
from ..limits import DEFAULTS, Limits
from .ice import usable_offer

ICE_CHARS = "[A-Za-z0-9+/]"  # RFC 8839 section 5.4
UFRAG, PASSWORD = re.compile(ICE_CHARS + "{4,256}"), re.compile(ICE_CHARS + "{22,256}")
MID = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]{1,64}")  # a token (RFC 8866 section 9)
FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+")  # RFC 8122 section 5
HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Bytes of the fingerprints that are understood, by their hash functions."""
OF_FORMAT = re.compile(r"a=(rtpmap|fmtp|rtcp-fb):(\S*)")
DIRECTION = re.compile(r"a=(sendrecv|sendonly|recvonly|inactive)\s*")
KINDS = ("audio", "video", "application")
SHOWN = 80
"""Characters of a line that an error shows."""


def read_offer(offer: str, limits: Limits = DEFAULTS) -> tuple[str, SessionDescription]:
    """An offer as aiortc can take it, and what it says. Raises NegotiationError."""
    usable = _normalized(usable_offer(offer, limits))
    try:
        description = SessionDescription.parse(usable)
    except Exception as error:  # its parser meets nonsense with whatever Python raises there
        line = _unreadable(usable.splitlines())
        raise NegotiationError(
            f"the offer cannot be read as SDP (RFC 8866) at the line {_shown(line)}"
        ) from error
    if not description.media:
        raise NegotiationError("the offer has no media sections")
    for number, media in enumerate(description.media, start=1):
        if media.kind not in KINDS:
            raise NegotiationError(
                f"the offer has a media section of unknown kind: {_shown(media.kind)}"
            )
        for complaint in _complaints(media):
            raise NegotiationError(
                f"media section {number} ({media.kind}) of the offer {complaint}"
            )
    for complaint in _whole(description):
        raise NegotiationError(f"the offer {complaint}")
    return usable, description


def _normalized(offer: str) -> str:
    """An offer with what it leaves unsaid, and without what is said of formats that it has not."""
    sections: list[list[str]] = [[]]
    for line in offer.splitlines():
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    for lines in sections[1:]:
        if not any(map(DIRECTION.fullmatch, lines)):
            lines.append("a=sendrecv")  # RFC 8866 section 6.7
    return "".join(f"{line}\r\n" for lines in sections for line in _of_its_formats(lines))


def _of_its_formats(lines: list[str]) -> Iterator[str]:
    """The lines of a section without those about formats that its first does not list, or that
    nothing is known of: aiortc would answer the former, and fail at the latter."""
    listed = set(lines[0].split()[3:]) if lines else set()
    mapped = {match[2] for line in lines if (match := re.match(r"a=(rtpmap):(\S*)", line))}
    for line in lines:
        match = OF_FORMAT.match(line)
        if match is None or match[2] == "*" or match[2] in listed & mapped:
            yield line


def _unreadable(lines: list[str]) -> str:
    """The first line, more or less, that a text cannot be read with."""
    good, bad = 0, len(lines)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            SessionDescription.parse("\r\n".join(lines[:middle]))
        except Exception:
            bad = middle
        else:
            good = middle
    return lines[bad - 1]


def _complaints(media: MediaDescription) -> Iterator[str]:
    """What is wrong with one section."""
    if not media.fmt:
        yield "lists no formats"
        return
    ice = media.ice or RTCIceParameters()
    if not (UFRAG.fullmatch(ice.usernameFragment or "") and PASSWORD.fullmatch(ice.password or "")):
        yield (
            "has no ICE username fragment and password of 4 and 22 to 256 ICE characters "
            "(RFC 8839 section 5.4)"
        )
    if media.dtls is None:
        yield "has no a=setup:actpass, active or passive (RFC 8842)"
    elif not media.dtls.fingerprints:
        yield "has no DTLS fingerprint"
    else:
        known = [each for each in media.dtls.fingerprints if each.algorithm.lower() in HASHES]
        if not known:
            yield f"has no DTLS fingerprint by any of {', '.join(HASHES)}"
        for each in known:
            size = HASHES[each.algorithm.lower()]
            if not FINGERPRINT.fullmatch(each.value) or len(each.value) != 3 * size - 1:
                yield f"has a {each.algorithm} fingerprint that is not {size} bytes in hexadecimal"
    if media.rtp.muxId is None:  # aiortc's for one that has no value
        yield "has an a=mid without a value"
    elif media.rtp.muxId and not MID.fullmatch(media.rtp.muxId):
        yield f"has a mid that is no token: {_shown(media.rtp.muxId)}"
    if media.kind == "application":
        yield from _data_complaints(media)
    else:
        if not media.rtcp_mux:
            yield "has no a=rtcp-mux, without which there is no answer here (RFC 8834 section 4.5)"
        for number, count in Counter(each.payloadType for each in media.rtp.codecs).items():
            if count > 1:
                yield f"has payload type {number} {count} times"


def _data_complaints(media: MediaDescription) -> Iterator[str]:
    port = media.sctp_port
    if media.profile == "DTLS/SCTP":
        port = int(media.fmt[0]) if re.fullmatch("[0-9]{1,5}", media.fmt[0]) else None
    if port is None or not 1 <= port <= 65535:
        yield "has no a=sctp-port from 1 to 65535 (RFC 8841)"
    if media.sctpCapabilities is not None and media.sctpCapabilities.maxMessageSize < 0:
        yield "has an a=max-message-size below zero"


def _whole(description: SessionDescription) -> Iterator[str]:
    """What is wrong with all sections together."""
    mids = [media.rtp.muxId for media in description.media]
    if len(mids) > 1 and "" in mids:
        yield "has several media sections, one of them without a=mid (RFC 5888)"
    for mid, count in Counter(mids).items():
        if count > 1:
            yield f"has {count} media sections of the mid {_shown(mid)}"
    if sum(media.kind == "application" for media in description.media) > 1:
        yield "has several media sections for data channels: one holds them all"
    for group in description.group:
        if group.semantic == "BUNDLE":
            for mid in map(str, group.items):
                if mid not in mids:
                    yield f"has a BUNDLE group with {_shown(mid)}, which is no section's mid"
                if group.items.count(mid) > 1:
                    yield f"has a BUNDLE group with {_shown(mid)} twice"


def _shown(text: str) -> str:
    return ascii(text if len(text) <= SHOWN else text[:SHOWN] + "...")
