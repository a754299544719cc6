"""Reports of arrivals from incoming RTCP to the senders: aiortc would take them for NACKs."""

import logging

from aiortc.rtcdtlstransport import RTCDtlsTransport

from .feedback import take_reports
from .sender import VideoSender

logger = logging.getLogger(__name__)


def read_reports(transport: RTCDtlsTransport) -> None:
    """Hand a transport's reports of arrivals to its video senders; other RTCP goes aiortc's way.

    They count the packets of all streams of a transport, so they name none of them. What cannot be
    read costs that packet: an error in aiortc's reading would end the transport's task, and with it
    the connection.
    """
    otherwise = transport._handle_rtcp_data
    said = False

    async def take(data: bytes) -> None:
        nonlocal said
        reports, rest = take_reports(data)
        for sender in transport._rtp_router.senders.values() if reports else ():
            if isinstance(sender, VideoSender):
                for report in reports:
                    sender.on_arrivals(report)
        if rest:
            try:
                await otherwise(rest)
            except Exception as error:
                level, said = logging.DEBUG if said else logging.WARNING, True
                logger.log(level, "RTCP of a peer was left out: %r", error)

    transport._handle_rtcp_data = take  # type: ignore[method-assign]
