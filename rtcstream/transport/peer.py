"""aiortc's peer connection with our sender and receiver in it, and without its traps."""

import asyncio
import contextlib
import logging
from typing import Any

from aiortc import (
    InvalidStateError,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSctpTransport,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.rtcsctptransport import Chunk, DataChunk

from ..errors import NegotiationError
from . import extensions
from .audio_receiver import AudioReceiver
from .consent import Consent
from .ice import IceOptions, gather_on
from .offers import read_offer
from .opus import libopus
from .ports import NoPortFree
from .receiver import VideoReceiver
from .rtcp_reader import read_reports
from .rtp_reader import RtpReader
from .sender import AudioSender, VideoSender

logger = logging.getLogger(__name__)

LATE = 10.0
"""Seconds that a connection has to close by itself, once it has taken longer than it should."""

SCTP_TOLERANCE = 64 * 1024
MAX_STREAMS = 64
MAX_FRAGMENTS = 4096


class PeerConnection(RTCPeerConnection):
    """An ``RTCPeerConnection`` whose media goes through senders and receivers of our own.

    aiortc looks its parts up by name for the whole process; overriding where they are made keeps
    the change to our own connections.
    """

    def __init__(self, ice: IceOptions) -> None:
        # aiortc's own default would be a public STUN server.
        super().__init__(RTCConfiguration(iceServers=ice.to_aiortc()))
        self._ice = ice
        self._limits = ice.limits
        self._consents: list[Consent] = []
        self.remote_ufrag: str | None = None
        """The peer's ICE username fragment, which names its generation of candidates."""

    # Names with one leading underscore are not mangled, so these override aiortc's private methods.

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:
        transport: RTCDtlsTransport = super()._RTCPeerConnection__createDtlsTransport()  # type: ignore[misc]
        gather_on(transport.transport.iceGatherer, self._ice)
        self._read_packets(transport)
        self._consents.append(Consent(transport, self._on_silence))
        return transport

    def _on_silence(self, silent: bool) -> None:
        self.emit("silence", silent)

    @property
    def gone(self) -> bool:
        """Whether the peer fell silent, and was given up."""
        return any(consent.gone for consent in self._consents)

    @property
    def checked(self) -> bool:
        """Whether a valid check of the peer's ICE has come."""
        return any(consent.checked for consent in self._consents)

    def _read_packets(self, transport: RTCDtlsTransport) -> None:
        """Have a transport's packets handed to our receivers and senders."""
        RtpReader(transport)
        read_reports(transport)

    def _RTCPeerConnection__createTransceiver(
        self, direction: str, kind: str, sender_track: Any = None
    ) -> RTCRtpTransceiver:
        transceiver: Any = super()._RTCPeerConnection__createTransceiver(  # type: ignore[misc]
            direction, kind, sender_track
        )
        if sender_track is None:
            transport = transceiver.receiver.transport
            sender: VideoSender | AudioSender
            receiver: VideoReceiver | AudioReceiver
            if kind == "video":
                sender, receiver = VideoSender(transport), VideoReceiver(transport)
            else:
                sender, receiver = AudioSender(transport), AudioReceiver(transport)
            sender._stream_id = transceiver.sender._stream_id
            receiver._set_rtcp_ssrc(sender._ssrc)
            transceiver._RTCRtpTransceiver__sender = sender
            transceiver._RTCRtpTransceiver__receiver = receiver
        return transceiver  # type: ignore[no-any-return]

    def _RTCPeerConnection__createSctpTransport(self) -> None:
        super()._RTCPeerConnection__createSctpTransport()  # type: ignore[misc]
        if self.sctp is not None:
            _survive_bad_messages(self.sctp)
            _survive_broken_path(self.sctp)

    async def _RTCPeerConnection__connect(self) -> None:
        """aiortc's, which may go on while the connection closes: what it starts then is stopped."""
        try:
            await super()._RTCPeerConnection__connect()  # type: ignore[misc]
        except InvalidStateError:
            if self.signalingState != "closed":
                raise
        if self.signalingState == "closed":
            for transceiver in self.getTransceivers():
                await transceiver.stop()
                await transceiver.receiver.transport.transport._connection.close()
            if self.sctp is not None:
                await self.sctp.stop()
                await self.sctp.transport.transport._connection.close()

    async def accept(self, offer: str) -> None:
        """Take a remote offer. Raises NegotiationError when it cannot be used."""
        usable, description = read_offer(offer, self._limits)
        try:
            await self.setRemoteDescription(RTCSessionDescription(sdp=usable, type="offer"))
        except OperationError as error:
            raise NegotiationError(extensions.NO_CODEC) from error
        except Exception as error:  # whatever Python raises there
            raise NegotiationError(f"the offer cannot be answered: {error}") from error
        if libopus():
            _ask_for_correction(self.getTransceivers())
        ice = description.media[0].ice
        self.remote_ufrag = None if ice is None else ice.usernameFragment
        sections = {media.rtp.muxId: media for media in description.media}
        for transceiver in self.getTransceivers():
            if (section := sections.get(transceiver.mid or "")) is not None:
                extensions.accept(transceiver, section)

    async def answer(self) -> str:
        """The answer to the accepted offer, as SDP, with all of our candidates in it.

        Raises NegotiationError, or NoPortFree.
        """
        try:
            await self.setLocalDescription(await self.createAnswer())
        except NoPortFree:
            raise
        except Exception as error:
            raise NegotiationError(f"the offer cannot be answered: {error}") from error
        return self.localDescription.sdp

    async def add_candidate(self, candidate: RTCIceCandidate) -> None:
        """A trickled candidate of the peer."""
        await self.addIceCandidate(candidate)

    def section(self, kind: str) -> RTCRtpTransceiver | None:
        """The first section of a kind, which is the one that is used."""
        return next((t for t in self.getTransceivers() if t.kind == kind), None)

    async def close_within(self, timeout: float) -> None:
        """Close; what has not ended by then ends when it can, and is logged."""
        ice = {t.receiver.transport.transport for t in self.getTransceivers()}
        if self.sctp is not None:
            ice.add(self.sctp.transport.transport)
        closing = asyncio.ensure_future(self.close())
        _, pending = await asyncio.wait({closing}, timeout=timeout)
        if pending:
            logger.warning("a peer connection took more than %g s to close", timeout)
            late = asyncio.create_task(self._close_late(closing))
            _late.add(late)
            late.add_done_callback(_late.discard)
        elif error := closing.exception():
            logger.warning("closing a peer connection failed: %r", error)
        if pending or closing.exception():  # the sockets, whatever the rest waits for
            stopping = asyncio.gather(*(each.stop() for each in ice), return_exceptions=True)
            _late.add(stopping)  # to a TURN server that is gone this takes long
            stopping.add_done_callback(_late.discard)
            await asyncio.wait({stopping}, timeout=timeout)

    async def _close_late(self, closing: "asyncio.Future[None]") -> None:
        """Cancelled at once, it would leave behind the tasks of all that it has yet to stop."""
        try:
            await asyncio.wait_for(closing, LATE)
        except Exception as error:
            logger.warning("a peer connection has not closed as a whole: %r", error)
            parts = [part for t in self.getTransceivers() for part in (t.receiver, t.sender)]
            stops = asyncio.gather(*(part.stop() for part in parts), return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stops, LATE)


_late: set["asyncio.Future[Any]"] = set()
"""What closes the connections that take longer than they should."""


def _ask_for_correction(transceivers: list[RTCRtpTransceiver]) -> None:
    """Let the peer send copies of its sound in the next packets when packets are lost (RFC 7587
    section 6.1); browsers do so only if the answer asks for it."""
    for transceiver in transceivers:
        for codec in transceiver._codecs:  # our own copies, made for this connection
            if codec.name == "opus":
                codec.parameters["useinbandfec"] = 1


def _survive_broken_path(sctp: RTCSctpTransport) -> None:
    """Take what cannot be sent any more for lost on its way.

    aiortc's timers send in tasks of nobody's: on a path that broke a moment ago each would end in
    an error that asyncio logs. Lost chunks are sent again, until the association is closed: such a
    task that came after that would set the timer once more, and so on without end.
    """
    send, transmit = sctp._send_chunk, sctp._transmit

    async def guarded(chunk: Chunk) -> None:
        with contextlib.suppress(ConnectionError):
            await send(chunk)

    async def until_closed() -> None:
        if sctp._association_state != sctp.State.CLOSED:
            await transmit()

    sctp._send_chunk = guarded  # type: ignore[method-assign]
    sctp._transmit = until_closed  # type: ignore[method-assign]


def _survive_bad_messages(sctp: RTCSctpTransport) -> None:
    """Drop a data-channel message that aiortc cannot take.

    An error in there (text that is not UTF-8, a channel opened twice, a handler that raises) would
    end the DTLS transport's task, and the whole connection with it. aiortc also tells its peer
    how much it would take, and then takes whatever comes: a message without an end, say.
    """
    receive, receive_chunk = sctp._data_channel_receive, sctp._receive_data_chunk
    said = False

    async def guarded(stream_id: int, pp_id: int, data: bytes) -> None:
        nonlocal said
        try:
            await receive(stream_id, pp_id, data)
        except Exception as error:
            level, said = logging.DEBUG if said else logging.WARNING, True
            logger.log(level, "a data-channel message was dropped: %r", error)

    async def bounded(chunk: DataChunk) -> None:
        if sctp.state == "closed":
            return
        streams = sctp._inbound_streams
        stream = streams.get(chunk.stream_id)
        if (
            sctp._advertised_rwnd < -SCTP_TOLERANCE
            or len(streams) > MAX_STREAMS
            or (stream is not None and len(stream.reassembly) > MAX_FRAGMENTS)
        ):
            logger.warning("a peer sent more than its window: its data channels are closed")
            streams.clear()
            await sctp.stop()
            return
        await receive_chunk(chunk)

    sctp._data_channel_receive = guarded  # type: ignore[method-assign]
    sctp._receive_data_chunk = bounded  # type: ignore[method-assign]
