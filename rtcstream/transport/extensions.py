"""RTP header extensions (RFC 8285) that aiortc does not negotiate."""

from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.sdp import MediaDescription

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

START_BITRATE = 2000
"""kbit/s at which Chromium begins to send: from its own 300 it takes seconds to a sharp picture."""


def accept(transceiver: RTCRtpTransceiver, offered: MediaDescription) -> None:
    """Take what is ours of an offer's video section, under its numbers: the extensions, and the
    feedback of arrivals that goes with one of them."""
    if transceiver.kind != "video":
        return
    known = {extension.uri for extension in transceiver._headerExtensions}
    transceiver._headerExtensions += [
        RTCRtpHeaderExtensionParameters(id=extension.id, uri=extension.uri)
        for extension in offered.rtp.headerExtensions
        if extension.uri in {PLAYOUT_DELAY, TRANSPORT_SEQUENCE} - known
    ]
    feedback = RTCRtcpFeedback(type="transport-cc")
    for codec in transceiver._codecs:
        of_offer = [other for other in offered.rtp.codecs if other.payloadType == codec.payloadType]
        if any(feedback in other.rtcpFeedback for other in of_offer):
            codec.rtcpFeedback.append(feedback)
        if codec.name != "rtx":
            codec.parameters["x-google-start-bitrate"] = START_BITRATE
