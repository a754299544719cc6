"""Reports of arrivals from incoming RTCP to the senders: aiortc would take them for NACKs."""

from aiortc.rtcdtlstransport import RTCDtlsTransport

from .feedback import take_reports
from .sender import VideoSender


def read_reports(transport: RTCDtlsTransport) -> None:
    """Hand a transport's reports of arrivals to its video senders; other RTCP goes aiortc's way.

    They count the packets of all streams of a transport, so they name none of them.
    """
    otherwise = transport._handle_rtcp_data

    async def take(data: bytes) -> None:
        reports, rest = take_reports(data)
        for sender in transport._rtp_router.senders.values() if reports else ():
            if isinstance(sender, VideoSender):
                for report in reports:
                    sender.on_arrivals(report)
        if rest:
            await otherwise(rest)

    transport._handle_rtcp_data = take  # type: ignore[method-assign]
