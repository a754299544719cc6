"""WebRTC signaling over HTTP (WHIP, RFC 9725) for anything that is a `Negotiator`.

This package knows HTTP and the text formats on it. What a session is, how it is
connected and when it ends is the negotiator's: nothing of `rtcstream` is imported here.
"""

from .hosts import trusted_hosts
from .negotiator import Answer, Negotiator
from .origins import CORS_ORIGINS, SAME_ORIGIN, Origins
from .problem import Problem
from .routes import setup
from .sdpfrag import (
    Candidate,
    CandidateError,
    Fragment,
    FragmentError,
    parse_candidate,
    parse_fragment,
)

__all__ = [
    "CORS_ORIGINS",
    "SAME_ORIGIN",
    "Answer",
    "Candidate",
    "CandidateError",
    "Fragment",
    "FragmentError",
    "Negotiator",
    "Origins",
    "Problem",
    "parse_candidate",
    "parse_fragment",
    "setup",
    "trusted_hosts",
]
