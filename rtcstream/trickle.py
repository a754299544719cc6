"""Candidates that come after their offer (trickle ICE, RFC 8838 and RFC 8840)."""

from aiortc import RTCIceCandidate

from .session import MediaSession
from .signaling import Candidate, Fragment, Problem
from .transport.ice import is_usable_candidate


async def take(session: MediaSession, fragment: Fragment) -> None:
    """Give a session the candidates of a fragment that can be tried. Raises Problem."""
    if fragment.ufrag is not None and fragment.ufrag != session.ufrag:
        raise Problem(
            422,
            "No ICE restart",
            "The fragment is of another ICE generation; open a new session instead.",
        )
    most = session.limits.candidates
    if session.trickled + len(fragment.candidates) > most:
        raise Problem(400, "Too many candidates", f"At most {most} are taken in a session.")
    session.trickled += len(fragment.candidates)
    for candidate in fragment.candidates:
        if is_usable_candidate(candidate.text.split()):
            await session.add_candidate(to_aiortc(candidate))


def to_aiortc(candidate: Candidate) -> RTCIceCandidate:
    """The same as aiortc takes it."""
    return RTCIceCandidate(
        component=candidate.component,
        foundation=candidate.foundation,
        ip=candidate.ip,
        port=candidate.port,
        priority=candidate.priority,
        protocol=candidate.protocol,
        type=candidate.type,
        relatedAddress=candidate.related_address,
        relatedPort=candidate.related_port,
        sdpMid=candidate.mid,
        sdpMLineIndex=candidate.mline,
        tcpType=candidate.tcp_type,
    )
