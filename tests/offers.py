"""Offers of nobody, for what happens before there is a connection."""

from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.peer import PeerConnection


async def ghost_offer() -> str:
    """A good offer of somebody who is gone."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    connection.addTransceiver("video", "sendrecv")
    await connection.setLocalDescription(await connection.createOffer())
    await connection.close()
    return connection.localDescription.sdp
