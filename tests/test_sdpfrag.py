"""The trickle fragment parser: what browsers send, the RFCs' grammar, and anything at all."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcstream.signaling import (
    Candidate,
    CandidateError,
    FragmentError,
    parse_candidate,
    parse_fragment,
)
from rtcstream.signaling.sdpfrag import MAX_CANDIDATES

CHROME = """a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
m=video 9 UDP/TLS/RTP/SAVPF 96
a=mid:0
a=candidate:3092402155 1 udp 2122260223 192.168.1.7 57021 typ host generation 0 ufrag EsAw \
network-id 1 network-cost 10
a=candidate:1510613869 1 udp 2122063615 5a8d1d9c-21d5-43a2-b9f9-2ee42f5d07a4.local 41234 typ host \
generation 0 ufrag EsAw network-id 2
a=candidate:2871384129 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active generation 0 \
ufrag EsAw network-id 1
a=candidate:842163049 1 udp 1677729535 203.0.113.5 46622 typ srflx raddr 192.168.1.7 rport 57021 \
generation 0 ufrag EsAw network-cost 999
a=end-of-candidates
"""

FIREFOX = """a=ice-ufrag:1d2ad4f5
a=ice-pwd:54e1bb0bcd9d1d90b9a2e2f0b1fbbf3c
m=audio 9 UDP/TLS/RTP/SAVPF 0
a=mid:0
a=candidate:0 1 UDP 2122252543 7c2b0a54-3a51-4d0f-9f43-0e7d6f8d2b11.local 49203 typ host
a=candidate:2 1 TCP 2105524479 2001:db8::7 9 typ host tcptype active
a=candidate:1 1 UDP 1686052863 203.0.113.5 49203 typ srflx raddr 0.0.0.0 rport 0
"""

HOST = "a=candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host"


def fragment_error(text: str) -> FragmentError:
    with pytest.raises(FragmentError) as caught:
        parse_fragment(text)
    return caught.value


def test_chrome() -> None:
    """Chrome's fragment gives its credentials and four candidates with their extensions."""
    fragment = parse_fragment(CHROME)
    assert (fragment.ufrag, fragment.pwd) == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert fragment.end
    host, hidden, tcp, reflexive = fragment.candidates
    assert (host.protocol, host.ip, host.port, host.type) == ("udp", "192.168.1.7", 57021, "host")
    assert host.text.startswith("candidate:3092402155 1 udp")
    assert host.text.endswith("network-id 1 network-cost 10")
    assert hidden.ip == "5a8d1d9c-21d5-43a2-b9f9-2ee42f5d07a4.local"
    assert (tcp.protocol, tcp.port, tcp.tcp_type) == ("tcp", 9, "active")
    assert (reflexive.related_address, reflexive.related_port) == ("192.168.1.7", 57021)
    assert {candidate.mid for candidate in fragment.candidates} == {"0"}
    assert {candidate.mline for candidate in fragment.candidates} == {None}


def test_firefox() -> None:
    """Firefox's shorter lines parse, their protocol in lower case."""
    fragment = parse_fragment(FIREFOX)
    hidden, tcp, reflexive = fragment.candidates
    assert not fragment.end
    assert (hidden.protocol, hidden.priority, hidden.port) == ("udp", 2122252543, 49203)
    assert (tcp.ip, tcp.tcp_type) == ("2001:db8::7", "active")
    assert (reflexive.related_address, reflexive.related_port) == ("0.0.0.0", 0)


@pytest.mark.parametrize("text", [CHROME, FIREFOX])
def test_line_ends(text: str) -> None:
    """CRLF and LF mean the same."""
    assert parse_fragment(text.replace("\n", "\r\n")) == parse_fragment(text)


def test_no_section() -> None:
    """A candidate before any section belongs to the first one."""
    (candidate,) = parse_fragment(HOST).candidates
    assert (candidate.mid, candidate.mline) == (None, 0)


def test_mid_without_m_line() -> None:
    """Sections may be told apart by their mid alone."""
    fragment = parse_fragment(f"a=mid:video\n{HOST}\na=mid:1\n{HOST}")
    assert [candidate.mid for candidate in fragment.candidates] == ["video", "1"]


def test_mid_after_candidate() -> None:
    """A section's mid counts for all of its candidates, wherever it stands."""
    (candidate,) = parse_fragment(f"m=audio 9 X 0\n{HOST}\na=mid:a").candidates
    assert candidate.mid == "a"


def test_sections_without_mid() -> None:
    """Without a mid the m= lines are counted, and what precedes them is the first's."""
    text = f"{HOST}\nm=audio 9 X 0\n{HOST}\nm=video 9 X 0\n{HOST}"
    assert [candidate.mline for candidate in parse_fragment(text).candidates] == [0, 0, 1]


def test_unknown_lines() -> None:
    """Attributes and lines that we do not use are ignored."""
    assert (
        parse_fragment("v=0\r\na=group:BUNDLE 0 1\r\na=ice-options:trickle\r\n\r\na=").end is False
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("candidate:1 1 udp 1 192.0.2.1 5000 typ host", "not of the form a=NAME:VALUE"),
        ("a=candidate:", "not of the form candidate:FOUNDATION"),
        ("a=candidate:1 1 udp 1 192.0.2.1 5000 host", "not of the form candidate:FOUNDATION"),
        ("a=candidate:1! 1 udp 1 192.0.2.1 5000 typ host", "'1!' is not a foundation"),
        ("a=candidate:1 0 udp 1 192.0.2.1 5000 typ host", "'0' is not a component from 1 to 256"),
        ("a=candidate:1 1 u,p 1 192.0.2.1 5000 typ host", "'u,p' is not a protocol"),
        ("a=candidate:1 1 udp -1 192.0.2.1 5000 typ host", "'-1' is not a priority"),
        ("a=candidate:1 1 udp 4294967296 192.0.2.1 5000 typ host", "is not a priority"),
        ("a=candidate:1 1 udp ٣ 192.0.2.1 5000 typ host", "is not visible ASCII"),
        ("a=candidate:1 1 udp 1 192.0.2.256 5000 typ host", "not an IP address or host name"),
        ("a=candidate:1 1 udp 1 a/b 5000 typ host", "not an IP address or host name"),
        ("a=candidate:1 1 udp 1 192.0.2.1 65536 typ host", "is not a port from 0 to 65535"),
        ("a=candidate:1 1 udp 1 192.0.2.1 5000 typ ho,st", "is not a candidate type"),
        ("a=candidate:1 1 udp 1 192.0.2.1 5000 typ host tcptype", "'tcptype' at the end has no"),
        ("a=candidate:1 1 udp 1 192.0.2.1 5000 typ host raddr @", "not an IP address or host"),
        ("a=candidate:1 1 udp 1 192.0.2.1 5000 typ host rport x", "is not a related port"),
        ("a=ice-ufrag:abc", "'abc' is not 4 to 256 ICE characters"),
        ("a=ice-pwd:short", "'short' is not 22 to 256 ICE characters"),
        ("a=mid:", "'' is not a media section's id"),
    ],
)
def test_bad_line(line: str, reason: str) -> None:
    """A malformed line is named by its number together with what is wrong."""
    error = fragment_error(f"m=audio 9 X 0\r\n{line}\r\n")
    assert error.line == 2
    assert reason in str(error)
    assert str(error).startswith("line 2: ")


def test_most_candidates() -> None:
    """A fragment may hold 64 candidates and not one more."""
    assert len(parse_fragment("\n".join([HOST] * MAX_CANDIDATES)).candidates) == 64
    assert fragment_error("\n".join([HOST] * (MAX_CANDIDATES + 1))).line == 65


def test_long_garbage() -> None:
    """An error message stays short whatever the line's length."""
    assert len(str(fragment_error("x" * 60_000))) < 200


ice_chars = st.sampled_from("ABCXYZabcxyz0189+/")
addresses = st.one_of(
    st.ip_addresses().map(str),
    st.uuids().map(lambda uuid: f"{uuid}.local"),
    st.sampled_from(["example.com", "a", "host_1.example"]),
)
ports = st.integers(0, 65535)
extensions = st.lists(
    st.tuples(
        st.sampled_from(["generation", "ufrag", "network-id", "network-cost", "x"]),
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=9),
    ),
    max_size=4,
)


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    """Draw a candidate whose text says the same as its other fields."""
    related = draw(st.none() | st.tuples(addresses, ports))
    tcp_type = draw(st.none() | st.sampled_from(["active", "passive", "so"]))
    foundation = draw(st.text(ice_chars, min_size=1, max_size=32))
    component, priority = draw(st.integers(1, 256)), draw(st.integers(0, 2**32 - 1))
    protocol = draw(st.sampled_from(["udp", "tcp", "UDP", "TCP"]))
    ip, port = draw(addresses), draw(ports)
    kind = draw(st.sampled_from(["host", "srflx", "prflx", "relay"]))
    text = f"candidate:{foundation} {component} {protocol} {priority} {ip} {port} typ {kind}"
    if related:
        text += f" raddr {related[0]} rport {related[1]}"
    if tcp_type:
        text += f" tcptype {tcp_type}"
    text += "".join(f" {name} {value}" for name, value in draw(extensions))
    return Candidate(
        text=text,
        mid=draw(st.none() | st.text(ice_chars.filter(lambda c: c != "/"), min_size=1)),
        mline=None,
        foundation=foundation,
        component=component,
        protocol=protocol.lower(),
        priority=priority,
        ip=ip,
        port=port,
        type=kind,
        related_address=related[0] if related else None,
        related_port=related[1] if related else None,
        tcp_type=tcp_type,
    )


@given(candidates())
def test_candidate_round_trip(candidate: Candidate) -> None:
    """A candidate written as text is read back the same."""
    assert parse_candidate(candidate.text, candidate.mid) == candidate


@given(
    st.lists(candidates(), max_size=8), st.booleans(), st.sampled_from(["\n", "\r\n"]), st.data()
)
def test_fragment_round_trip(
    drawn: list[Candidate], end: bool, line_end: str, data: st.DataObject
) -> None:
    """A fragment written as text gives its candidates in order, each in its section."""
    ufrag = data.draw(st.text(ice_chars, min_size=4, max_size=256))
    pwd = data.draw(st.text(ice_chars, min_size=22, max_size=256))
    lines = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}"]
    for candidate in drawn:
        lines += ["m=video 9 UDP/TLS/RTP/SAVPF 96", f"a={candidate.text}"]
        lines += [] if candidate.mid is None else [f"a=mid:{candidate.mid}"]
    lines += ["a=end-of-candidates"] if end else []
    fragment = parse_fragment(line_end.join(lines))
    assert (fragment.ufrag, fragment.pwd, fragment.end) == (ufrag, pwd, end)
    assert [(found.text, found.mid) for found in fragment.candidates] == [
        (candidate.text, candidate.mid) for candidate in drawn
    ]
    for index, found in enumerate(fragment.candidates):
        assert found.mline == (index if found.mid is None else None)


@given(st.text())
def test_any_candidate(text: str) -> None:
    """Whatever the text, a candidate comes back or a CandidateError is raised."""
    with contextlib.suppress(CandidateError):
        assert parse_candidate(text).text.isascii()


starts = st.sampled_from(["", "a=", "m=", "a=mid:", "a=candidate:", f"{HOST} ", "a=ice-ufrag:"])
some_lines = st.lists(st.tuples(starts, st.text()).map("".join)).map("\n".join)


@given(st.text() | some_lines)
def test_any_text(text: str) -> None:
    """Whatever the text, a Fragment comes back or a FragmentError names one of its lines."""
    try:
        fragment = parse_fragment(text)
    except FragmentError as error:
        line, message = error.line, str(error)
    else:
        assert all((found.mid is None) != (found.mline is None) for found in fragment.candidates)
        return
    assert 1 <= line <= text.count("\n") + 1
    assert message.isprintable()
