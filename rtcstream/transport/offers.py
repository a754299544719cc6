"""Offers of anybody: read, bounded and checked before aiortc makes anything of them."""

import re

from aiortc import RTCIceParameters
from aiortc.sdp import SessionDescription

from ..errors import NegotiationError
from ..limits import DEFAULTS, Limits
from .ice import usable_offer

ICE_CHARS = "[A-Za-z0-9+/]"  # RFC 8839 section 5.4
UFRAG, PASSWORD = re.compile(ICE_CHARS + "{4,256}"), re.compile(ICE_CHARS + "{22,256}")


def read_offer(offer: str, limits: Limits = DEFAULTS) -> tuple[str, SessionDescription]:
    """An offer as aiortc can take it, and what it says. Raises NegotiationError."""
    usable = usable_offer(offer, limits)
    try:
        description = SessionDescription.parse(usable)
    except Exception as error:  # its parser meets nonsense with whatever Python raises there
        raise NegotiationError(f"the offer is not SDP (RFC 8866): {error}") from error
    if not description.media:
        raise NegotiationError("the offer has no media sections")
    if any(not media.dtls or not media.dtls.fingerprints for media in description.media):
        raise NegotiationError("a media section of the offer has no DTLS fingerprint")
    ices = [media.ice or RTCIceParameters() for media in description.media]
    if not all(
        UFRAG.fullmatch(ice.usernameFragment or "") and PASSWORD.fullmatch(ice.password or "")
        for ice in ices
    ):
        raise NegotiationError(
            "a media section of the offer has no ICE username fragment and password of 4 and "
            "22 to 256 ICE characters (RFC 8839 section 5.4)"
        )
    if any(media.kind not in ("audio", "video", "application") for media in description.media):
        raise NegotiationError("the offer has a media section of unknown kind")
    return usable, description
