"""RTP header extensions (RFC 8285) that aiortc does not negotiate."""

from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.sdp import MediaDescription

from . import h264

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

IDS = range(1, 15)
"""Those of the one-byte form (RFC 8285 section 4.2), in which ours are written."""

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
    """Take what is ours of an offer's video section, under its numbers: the extensions, and the
    feedback of arrivals that goes with one of them."""
    if transceiver.kind != "video":
        return
    known = {extension.uri for extension in transceiver._headerExtensions}
    wanted = {PLAYOUT_DELAY, TRANSPORT_SEQUENCE} - known
    taken = {e.uri: e.id for e in offered.rtp.headerExtensions if e.uri in wanted and e.id in IDS}
    transceiver._headerExtensions += [
        RTCRtpHeaderExtensionParameters(id=number, uri=uri) for uri, number in taken.items()
    ]
    feedback = RTCRtcpFeedback(type="transport-cc")
    for codec in transceiver._codecs:
        of_offer = [other for other in offered.rtp.codecs if other.payloadType == codec.payloadType]
        if any(feedback in other.rtcpFeedback for other in of_offer):
            codec.rtcpFeedback.append(feedback)
        if codec.name != "rtx":
            codec.parameters["x-google-start-bitrate"] = START_BITRATE
