"""WebRTC signaling over HTTP (WHIP, RFC 9725) for anything that is a `Negotiator`.

This package knows HTTP and the text formats on it. What a session is, how it is
connected and when it ends is the negotiator's: nothing of `rtcstream` is imported here.
"""

from .body import MAX_BODY, read_text
from .files import file_in
from .forwarded import PASSED_ON, Proxies
from .hosts import trusted_hosts
from .negotiator import IDENTITY, Answer, Negotiator, identity_of
from .openapi import OPENAPI_SECURITY, add_paths
from .origins import CORS_ORIGINS, SAME_ORIGIN, Origins, origins_of
from .problem import Problem, session_not_found
from .routes import GALLERY, setup
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
    "GALLERY",
    "IDENTITY",
    "MAX_BODY",
    "OPENAPI_SECURITY",
    "PASSED_ON",
    "SAME_ORIGIN",
    "Answer",
    "Candidate",
    "CandidateError",
    "Fragment",
    "FragmentError",
    "Negotiator",
    "Origins",
    "Problem",
    "Proxies",
    "add_paths",
    "file_in",
    "identity_of",
    "origins_of",
    "parse_candidate",
    "parse_fragment",
    "read_text",
    "session_not_found",
    "setup",
    "trusted_hosts",
]
