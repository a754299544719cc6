"""RTP header extensions (RFC 8285) that aiortc does not negotiate."""

from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.sdp import MediaDescription

from ..errors import NegotiationError
from . import h264

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

IDS = range(1, 15)
"""Those of the one-byte form (RFC 8285 section 4.2), in which ours are written."""

NO_CODEC = (
    "a media section of the offer has no codec that is taken here: VP8, H.264 (baseline, "
    "packetization-mode=1) or opus, with a payload type from 96 to 127, or PCMU, PCMA, G722"
)

START_BITRATE = 2000
"""kbit/s at which Chromium begins to send: from its own 300 it takes seconds to a sharp picture."""


def prefer(transceiver: RTCRtpTransceiver, codec: str) -> bool:
    """Put a codec of the offer first, which both sides then send in: ``"vp8"``, ``"h264"``,
    ``"opus"``, or ``"auto"``: H.264 where it is encoded in hardware, or else what the offer
    prefers. Returns whether the offer has it."""
    wanted = "h264" if codec == "auto" and h264.hardware() else codec
    ours = {each.payloadType for each in transceiver._codecs if each.name.lower() == wanted}

    def rank(each: RTCRtpCodecParameters) -> bool:
        base = each.parameters.get("apt", each.payloadType)  # its retransmissions go with it
        return base not in ours

    transceiver._codecs = sorted(transceiver._codecs, key=rank)
    return bool(ours)


def accept(transceiver: RTCRtpTransceiver, offered: MediaDescription) -> None:
    """Take what is ours of an offer's section, under its numbers: the codecs, the extensions and,
    of video, the feedback of arrivals that goes with one of them. Raises NegotiationError."""
    transceiver._codecs = _of_offer(transceiver._codecs, offered)
    if not transceiver._codecs:
        raise NegotiationError(NO_CODEC)
    by_number: dict[int, RTCRtpHeaderExtensionParameters] = {}
    for extension in transceiver._headerExtensions:
        if extension.id in IDS and extension.uri not in {each.uri for each in by_number.values()}:
            by_number.setdefault(extension.id, extension)
    transceiver._headerExtensions = list(by_number.values())
    if transceiver.kind != "video":
        return
    known = {extension.uri for extension in transceiver._headerExtensions}
    wanted = {PLAYOUT_DELAY, TRANSPORT_SEQUENCE} - known
    for extension in offered.rtp.headerExtensions:
        if extension.uri in wanted and extension.id in IDS and extension.id not in by_number:
            wanted.discard(extension.uri)
            by_number[extension.id] = extension
            transceiver._headerExtensions.append(extension)
    feedback = RTCRtcpFeedback(type="transport-cc")
    for codec in transceiver._codecs:
        of_offer = [other for other in offered.rtp.codecs if other.payloadType == codec.payloadType]
        if any(feedback in other.rtcpFeedback for other in of_offer):
            codec.rtcpFeedback.append(feedback)
        if codec.name != "rtx":
            codec.parameters["x-google-start-bitrate"] = START_BITRATE


def _of_offer(
    codecs: list[RTCRtpCodecParameters], offered: MediaDescription
) -> list[RTCRtpCodecParameters]:
    """Those whose numbers the offer has for the same: aiortc takes 96 to 127 only over from it, and
    puts its own in the place of others. Retransmissions stay with what they are of."""
    names = {each.payloadType: each.mimeType.lower() for each in offered.rtp.codecs}
    kept = [each for each in codecs if names.get(each.payloadType or 0) == each.mimeType.lower()]
    numbers = {each.payloadType for each in kept if each.name != "rtx"}
    return [each for each in kept if each.name != "rtx" or each.parameters.get("apt") in numbers]
