"""What a session's packets have met on their way, by both sides' reports (RFC 3550 section 6.4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiortc.stats import RTCRemoteInboundRtpStreamStats

from .receiver import MediaReceiver
from .sender import MediaSender


@dataclass(frozen=True)
class Network:
    """Since the session began; ``round_trip`` is in seconds, None while it is not known.

    ``packets_lost`` is of what was sent, by the peer's last report; ``packets_missing`` of what was
    to come, before any of it was sent again.
    """

    packets_sent: int = 0
    packets_lost: int = 0
    packets_received: int = 0
    packets_missing: int = 0
    bytes_received: int = 0
    round_trip: float | None = None


def network(senders: Iterable[MediaSender], receivers: Iterable[MediaReceiver[Any]]) -> Network:
    """What these have met so far, together."""
    sent = lost = received = missing = octets = 0
    round_trips = []
    for sender in senders:
        sent += sender._RTCRtpSender__packet_count
        report = sender._RTCRtpSender__stats.get(f"remote-inbound-rtp_{id(sender)}")
        if isinstance(report, RTCRemoteInboundRtpStreamStats):
            lost += max(0, report.packetsLost)  # less than none where packets came twice
            if report.roundTripTime is not None:
                round_trips.append(report.roundTripTime)
    for receiver in receivers:
        octets += receiver.bytes_received
        for source in receiver._RTCRtpReceiver__remote_streams.values():
            received += source.packets_received
            missing += max(0, source.packets_lost)
    return Network(sent, lost, received, missing, octets, min(round_trips, default=None))
