"""Parses trickled ICE candidates: `application/trickle-ice-sdpfrag`, without I/O.

The fragment is RFC 8840 section 9, its candidates are RFC 8839 section 5.1, and how they
travel over HTTP is RFC 9725 section 4.3. Attributes that we do not use are ignored, as the
RFCs ask.
"""

import ipaddress
import re
from dataclasses import dataclass, field

MAX_CANDIDATES = 64  # of a fragment; a browser on a busy machine has about 20

ICE_CHARS = "[A-Za-z0-9+/]"
FOUNDATION = re.compile(ICE_CHARS + "{1,32}")
UFRAG = re.compile(ICE_CHARS + "{4,256}")
PASSWORD = re.compile(ICE_CHARS + "{22,256}")
TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+")
VISIBLE = re.compile(r"[!-~]+")
DIGITS = re.compile(r"[0-9]{1,10}")
HOST_NAME = re.compile(r"(?![0-9.]+$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
MID = TOKEN  # RFC 5888 section 4


class CandidateError(ValueError):
    """A candidate that does not follow the grammar; says which part and why."""


class FragmentError(ValueError):
    """A fragment that does not follow the grammar, with the number of the line (from 1)."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True)
class Candidate:
    """One remote ICE candidate and the media section that it belongs to.

    `text` is what `RTCIceCandidate.candidate` holds: "candidate:..." without "a=". `mid`
    names the section; where the fragment gives none, `mline` counts it (0 is the first),
    so that exactly one of the two is set.
    """

    text: str
    mid: str | None
    mline: int | None
    foundation: str
    component: int
    protocol: str  # lower case: "udp" or "tcp"
    priority: int
    ip: str  # or a name: browsers hide host addresses behind "*.local" (mDNS)
    port: int
    type: str  # "host", "srflx", "prflx" or "relay"
    related_address: str | None = None
    related_port: int | None = None
    tcp_type: str | None = None  # "active", "passive" or "so" (RFC 6544 section 4.5)


@dataclass(frozen=True)
class Fragment:
    """What one PATCH says: candidates, perhaps the last (`end`), of one ICE session.

    `ufrag` and `pwd` are the first ones named, which is all there is with BUNDLE; other
    values than the session's own ask for an ICE restart.
    """

    ufrag: str | None = None
    pwd: str | None = None
    candidates: tuple[Candidate, ...] = ()
    end: bool = False


@dataclass
class _Section:
    mid: str | None = None
    candidates: list[tuple[int, str]] = field(default_factory=list)  # line number and value


def parse_fragment(text: str) -> Fragment:
    """Parse the body of a trickle PATCH; lines end with CRLF or LF.

    Candidates before any section belong to the first one. Raises `FragmentError`.
    """
    ufrag: str | None = None
    pwd: str | None = None
    end = False
    # A section starts with its m= line, or with a=mid where a client leaves m= lines out.
    sections = [_Section()]
    count = 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.removesuffix("\r")
        if not line:
            continue
        if line[1:2] != "=":
            raise FragmentError(number, f"{_shown(line)} is not of the form a=NAME:VALUE")
        if line.startswith("m="):
            sections.append(_Section())
        name, _, value = line[2:].partition(":") if line.startswith("a=") else ("", "", "")
        if name == "mid":
            if sections[-1].mid is not None:
                sections.append(_Section())
            sections[-1].mid = _matching(MID, value, number, "a media section's id")
        elif name == "ice-ufrag":
            ufrag = ufrag or _matching(UFRAG, value, number, "4 to 256 ICE characters")
        elif name == "ice-pwd":
            pwd = pwd or _matching(PASSWORD, value, number, "22 to 256 ICE characters")
        elif name == "candidate":
            count += 1
            if count > MAX_CANDIDATES:
                raise FragmentError(number, f"more than {MAX_CANDIDATES} candidates: send fewer")
            sections[-1].candidates.append((number, value))
        elif name == "end-of-candidates":
            end = True
    return Fragment(ufrag, pwd, tuple(_candidates(sections)), end)


def _candidates(sections: list[_Section]) -> list[Candidate]:
    candidates = []
    for index, section in enumerate(sections):
        # sections[0] is what stands before the first m= line: it shares that one's index.
        mline = None if section.mid is not None else max(index - 1, 0)
        for number, value in section.candidates:
            try:
                candidates.append(parse_candidate(f"candidate:{value}", section.mid, mline))
            except CandidateError as error:
                raise FragmentError(number, str(error)) from None
    return candidates


def parse_candidate(text: str, mid: str | None = None, mline: int | None = None) -> Candidate:
    """Parse "candidate:..." as Chrome and Firefox write it; raises `CandidateError`.

    Extensions come in pairs of a name and a value. All but `tcptype` (Chrome's `generation`,
    `ufrag`, `network-id` and `network-cost`) are checked for their form only.
    """
    words = text.removeprefix("candidate:").split()
    if len(words) < 8 or words[6] != "typ":
        raise CandidateError(
            f"{_shown(text)} is not of the form candidate:FOUNDATION COMPONENT PROTOCOL PRIORITY "
            "ADDRESS PORT typ TYPE"
        )
    if len(words) % 2:
        raise CandidateError(f"{_shown(words[-1])} at the end has no value")
    for word in words:
        _word(VISIBLE, word, "visible ASCII")
    extensions = dict(zip(words[8::2], words[9::2], strict=True))
    address, port = extensions.get("raddr"), extensions.get("rport")
    return Candidate(
        text=f"candidate:{' '.join(words)}",
        mid=mid,
        mline=mline,
        foundation=_word(FOUNDATION, words[0], "a foundation"),
        component=_number(words[1], "a component", 1, 256),
        protocol=_word(TOKEN, words[2], "a protocol").lower(),
        priority=_number(words[3], "a priority", 0, 2**32 - 1),
        ip=_address(words[4]),
        port=_number(words[5], "a port", 0, 65535),
        type=_word(TOKEN, words[7], "a candidate type"),
        related_address=None if address is None else _address(address),
        related_port=None if port is None else _number(port, "a related port", 0, 65535),
        tcp_type=extensions.get("tcptype"),
    )


def _word(pattern: re.Pattern[str], word: str, what: str) -> str:
    if not pattern.fullmatch(word):
        raise CandidateError(f"{_shown(word)} is not {what}")
    return word


def _number(word: str, what: str, least: int, most: int) -> int:
    if not DIGITS.fullmatch(word) or not least <= int(word) <= most:
        raise CandidateError(f"{_shown(word)} is not {what} from {least} to {most}")
    return int(word)


def _address(word: str) -> str:
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        return _word(HOST_NAME, word, "an IP address or host name")


def _matching(pattern: re.Pattern[str], value: str, line: int, what: str) -> str:
    if not pattern.fullmatch(value):
        raise FragmentError(line, f"{_shown(value)} is not {what}")
    return value


def _shown(value: str) -> str:
    """Quote a value for an error message, at a bearable length."""
    return ascii(value if len(value) <= 80 else value[:80] + "...")
