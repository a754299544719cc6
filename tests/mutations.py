"""What may happen to a text on its way from who wrote it: mutations, the same for the same seed."""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

Mutation: TypeAlias = Callable[[list[str], Random], None]
"""Changes lines in place; there is at least one."""

NUMBERS = (
    *("0", "-1", "1", "2", "9", "14", "15", "16", "72", "77", "95", "96", "127", "128", "255"),
    *("256", "65535", "65536", "4294967295", "4294967296", "9" * 20, "1" * 5000, "1.5", "1e9"),
    *("0x10", "1_000", "+5", " 7", "007", "NaN", "", "\u0663", "\uff11\uff12"),
)
TOKENS = (
    *("", " ", "x", "0", "*", "-", "A" * 255, "A" * 300, "a" * 20_000, "\0", "\x7f", "%00", "%s"),
    *("\u00e4\u00f6\u00fc", "\U0001f600", "\u202e", "\ufeff", "\u2028", "\x85", "\x1c", "\ud800"),
    *("127.0.0.1", "::1", "0.0.0.0", "192.0.2.1", "fe80::1%lo", "name.local", "1.2.3", "::ffff:0"),
    *("true", "null", "None", "../..", "<b>", "'\"", "\\", ";", "=", ":", "/", ",", "\t"),
)
ATTRIBUTES = (
    *("mid", "mid:", "mid:0", "mid:1", "mid:a b", "mid:" + "m" * 300, "mid:\u00e4", "setup"),
    *("setup:actpass", "setup:active", "setup:passive", "setup:holdconn", "setup:x"),
    *("sendrecv", "sendonly", "recvonly", "inactive", "direction:sendrecv", "ice-lite"),
    *("rtcp-mux", "rtcp-rsize", "rtcp-mux-only", "bundle-only", "rtcp", "rtcp:x", "rtcp:9"),
    *("rtcp:99999 IN IP4 0.0.0.0", "rtcp:9 IN IP6 ::", "ice-ufrag", "ice-ufrag:", "ice-ufrag:abc"),
    *("ice-ufrag:otherufrag", "ice-pwd", "ice-pwd:short", "ice-pwd:" + "p" * 256, "ice-options"),
    *(
        "fingerprint",
        "fingerprint:",
        "fingerprint:sha-256",
        "fingerprint:md5 00:11",
        "ice-mismatch",
    ),
    *("fingerprint:sha-256 zz", "fingerprint:sha-1 " + ":".join(["AB"] * 20), "end-of-candidates"),
    *("group", "group:", "group:BUNDLE", "group:BUNDLE 0", "group:BUNDLE 1 0", "group:BUNDLE 0 0"),
    *("group:BUNDLE nobody", "group:BUNDLE 0 nobody", "group:LS 0 1", "msid-semantic", "msid"),
    *("msid:a b", "msid:a", "msid:- -", "msid-semantic: WMS *", "msid-semantic:WMS a b c"),
    *(
        "rtpmap",
        "rtpmap:",
        "rtpmap:96",
        "rtpmap:96 VP8",
        "rtpmap:96 VP8/90000",
        "rtpmap:0 PCMU/8000",
    ),
    *(
        "rtpmap:96 VP8/0",
        "rtpmap:96 H264/90000",
        "rtpmap:111 opus/48000/2",
        "rtpmap:111 opus/48000",
    ),
    *("rtpmap:111 opus/48000/9", "rtpmap:300 VP8/90000", "rtpmap:-1 VP8/90000", "rtpmap:x VP8/x"),
    *("rtpmap:97 rtx/90000", "rtpmap:97 red/90000", "rtpmap:97 ulpfec/90000", "fmtp", "fmtp:"),
    *("rtpmap:97 flexfec-03/90000", "fmtp:96", "fmtp:96 ", "fmtp:97 apt=96", "fmtp:97 apt=97"),
    *("fmtp:97 apt=x", "fmtp:97 apt=", "fmtp:300 a=b", "fmtp:96 profile-level-id=zz", "fmtp:* a=b"),
    *("fmtp:96 profile-level-id=42e01f;packetization-mode=1", "fmtp:96 packetization-mode=9"),
    *(
        "fmtp:96 profile-level-id=ffffff",
        "fmtp:96 minptime=-1;stereo=9",
        "fmtp:96 =;=;=",
        "rtcp-fb",
    ),
    *("rtcp-fb:*", "rtcp-fb:96", "rtcp-fb:* nack", "rtcp-fb:x y z", "rtcp-fb:96 transport-cc"),
    *("extmap", "extmap:", "extmap:0 urn:ietf:params:rtp-hdrext:sdes:mid", "extmap-allow-mixed"),
    *("extmap:15 urn:ietf:params:rtp-hdrext:sdes:mid", "extmap:1 urn:x", "extmap:1/x urn:x"),
    *("extmap:300 urn:ietf:params:rtp-hdrext:sdes:mid", "extmap:-1 urn:x", "extmap:1/2/3 urn:x"),
    "extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "extmap:4096 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    *("ssrc", "ssrc:", "ssrc:1", "ssrc:1 cname", "ssrc:1 cname:x", "ssrc:x cname:x", "ssrc:-1 a:b"),
    *("ssrc:99999999999 cname:x", "ssrc-group", "ssrc-group:FID", "ssrc-group:FID 1", "ssrc:0 a:b"),
    *("ssrc-group:FID 1 2", "ssrc-group:FID x y", "ssrc-group:SIM 1 2 3", "ssrc-group:FEC-FR 1 2"),
    *("rid:hi send", "rid:lo send pt=96", "simulcast:send hi;lo", "simulcast:recv ~a,b;c", "rid"),
    *("sctp-port", "sctp-port:", "sctp-port:0", "sctp-port:5000", "sctp-port:99999", "sctp-port:x"),
    *("max-message-size", "max-message-size:0", "max-message-size:-1", "max-message-size:262144"),
    *("max-message-size:" + "9" * 30, "sctpmap", "sctpmap:5000", "sctpmap:x webrtc-datachannel 9"),
    *("sctpmap:5000 webrtc-datachannel 1024", "candidate", "candidate:", "candidate:1 1 udp"),
    *("candidate:1 1 udp 1 127.0.0.1 9 typ host", "candidate:1 1 tcp 1 127.0.0.1 9 typ host"),
    *("candidate:1 2 udp 1 127.0.0.1 9 typ host", "candidate:1 1 udp 1 127.0.0.1 0 typ host"),
    *("candidate:1 1 udp -1 127.0.0.1 9 typ host", "candidate:1 1 udp 1 127.0.0.1 70000 typ host"),
    *("candidate:x x udp x 127.0.0.1 x typ host", "candidate:1 1 udp 1 name.local 9 typ host"),
    *("candidate:1 1 udp 1 ::1 9 typ host", "candidate:1 1 udp 1 127.0.0.1 9 typ srflx raddr"),
    *("candidate:1 1 udp 1 127.0.0.1 9 typ relay raddr 0.0.0.0 rport 0 generation 0", "x", ""),
    *(
        "candidate:1 1 udp 1 127.0.0.1 9 typ host rport x",
        "candidate:1 1 udp 1 fe80::1%9 9 typ host",
    ),
)
LINES = (
    *("", " ", "=", "a", "a=", "x=y", "v=0", "v=1", "v=x", "o=", "s=", "t=", "t=0 0", "b=AS:x"),
    *("c=", "c=IN IP4 127.0.0.1", "c=IN IP6 ::1", "c=IN IP4", "c=x", "z=", "m=", "m=video"),
    *("m=video 9 UDP/TLS/RTP/SAVPF 96", "m=audio 9 UDP/TLS/RTP/SAVPF 0 8", "m=audio 0 RTP/AVP 0"),
    *("m=video 9 UDP/TLS/RTP/SAVPF", "m=video x UDP/TLS/RTP/SAVPF 96", "m=video 9 rtp 96"),
    *("m=video 9 UDP/TLS/RTP/SAVPF 72", "m=video 9 UDP/TLS/RTP/SAVPF 300", "m=text 9 UDP 1"),
    *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 DTLS/SCTP 5000"),
    *("m=application 9 DTLS/SCTP x", "m=application 9 DTLS/SCTP 99999", "m=application 9 X y"),
)
ENDS = ("\r\n", "\n", "\r", "\n\n", "\r\r\n", "\n\r", "\x0b", "\u2028", "\r\n ")


def _somewhere(lines: list[str], random: Random) -> int:
    return random.randrange(len(lines))


def _drop(lines: list[str], random: Random) -> None:
    at = _somewhere(lines, random)
    del lines[at : at + random.choice((1, 1, 1, 2, 5))]


def _repeat(lines: list[str], random: Random) -> None:
    at = _somewhere(lines, random)
    lines[at:at] = [lines[at]] * random.choice((1, 1, 2, 3, 70, 300))


def _swap(lines: list[str], random: Random) -> None:
    one, other = _somewhere(lines, random), _somewhere(lines, random)
    lines[one], lines[other] = lines[other], lines[one]


def _move(lines: list[str], random: Random) -> None:
    line = lines.pop(_somewhere(lines, random))
    lines.insert(random.randint(0, len(lines)), line)


def _number(lines: list[str], random: Random) -> None:
    _replace(lines, random, r"\d+", NUMBERS)


def _token(lines: list[str], random: Random) -> None:
    _replace(lines, random, r"[^\s:;=/,]+", TOKENS)


def _replace(lines: list[str], random: Random, pattern: str, by: Sequence[str]) -> None:
    at = _somewhere(lines, random)
    if found := list(re.finditer(pattern, lines[at])):
        one = random.choice(found)
        lines[at] = lines[at][: one.start()] + random.choice(by) + lines[at][one.end() :]


def _borrow(lines: list[str], random: Random) -> None:
    """The value of one attribute in the place of another's."""
    at, other = _somewhere(lines, random), _somewhere(lines, random)
    lines[at] = lines[at].partition(":")[0] + ":" + lines[other].partition(":")[2]


def _attribute(lines: list[str], random: Random) -> None:
    """One that is there of the same name is replaced, half of the time."""
    new = "a=" + random.choice(ATTRIBUTES)
    name = new.partition(":")[0]
    alike = [n for n, line in enumerate(lines) if line.partition(":")[0] == name]
    if alike and random.random() < 0.5:
        lines[random.choice(alike)] = new
    else:
        lines.insert(random.randint(0, len(lines)), new)


def _line(lines: list[str], random: Random) -> None:
    lines.insert(random.randint(0, len(lines)), random.choice(LINES))


def _without_attribute(lines: list[str], random: Random) -> None:
    """All of one name go."""
    name = lines[_somewhere(lines, random)].partition(":")[0]
    lines[:] = [line for line in lines if line.partition(":")[0] != name] or [""]


def _sections(lines: list[str], random: Random) -> None:
    """Media sections dropped, doubled, turned around."""
    starts = [n for n, line in enumerate(lines) if line.startswith("m=")]
    if not starts:
        return
    ends = [*starts[1:], len(lines)]
    parts = [lines[start:end] for start, end in zip(starts, ends, strict=True)]
    what = random.choice(("drop", "double", "many", "turn", "shuffle lines"))
    one = random.randrange(len(parts))
    if what == "drop":
        del parts[one]
    elif what == "double":
        parts.append(list(parts[one]))
    elif what == "many":
        parts += [list(parts[one]) for _ in range(random.choice((4, 7, 30)))]
    elif what == "turn":
        parts.reverse()
    else:
        rest = parts[one][1:]
        random.shuffle(rest)
        parts[one][1:] = rest
    lines[starts[0] :] = [line for part in parts for line in part]


def _character(lines: list[str], random: Random) -> None:
    at = _somewhere(lines, random)
    place = random.randint(0, len(lines[at]))
    odd = random.choice((*TOKENS, chr(random.randrange(1, 256)), chr(random.randrange(0xD800))))
    lines[at] = lines[at][:place] + odd + lines[at][place + random.randint(0, 1) :]


def _cut(lines: list[str], random: Random) -> None:
    at = _somewhere(lines, random)
    lines[at] = lines[at][: random.randint(0, len(lines[at]))]


MUTATIONS: tuple[Mutation, ...] = (
    *(_drop, _repeat, _swap, _move, _number, _number, _number, _token, _token, _borrow),
    *(_attribute, _attribute, _attribute, _line, _without_attribute, _sections, _character, _cut),
)


def mutated_lines(text: str, random: Random) -> str:
    """A text of lines with one to four mutations that know what lines and attributes are."""
    lines = text.splitlines() or [""]
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        random.choice(MUTATIONS)(lines, random)
        lines = lines or [""]
    if random.random() < 0.9:
        return "\r\n".join(lines) + "\r\n"
    return "".join(line + random.choice(ENDS) for line in lines)


def mutated_bytes(data: bytes, random: Random) -> bytes:
    """Bytes flipped, set, cut out, doubled and put in."""
    bytes_ = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        at = random.randint(0, len(bytes_))
        what = random.randrange(5)
        if what == 0 and at < len(bytes_):
            bytes_[at] ^= 1 << random.randrange(8)
        elif what == 1 and at < len(bytes_):
            bytes_[at] = random.choice((0, 10, 13, 32, 34, 58, 127, 128, 255))
        elif what == 2:
            del bytes_[at : at + random.choice((1, 2, 8, 100))]
        elif what == 3:
            bytes_[at:at] = bytes_[at : at + random.choice((1, 8, 100))]
        else:
            bytes_[at:at] = random.randbytes(random.choice((1, 2, 8)))
    return bytes(bytes_)


def mutated(text: str, random: Random) -> str:
    """A text with mutations of either kind; what is not UTF-8 any more becomes other characters."""
    if random.random() < 0.85:
        return mutated_lines(text, random)
    return mutated_bytes(text.encode("utf-8", "surrogatepass"), random).decode("utf-8", "replace")


def mutated_token(text: str, random: Random) -> str:
    """A text of one line, such as a query or JSON, with mutations inside of it."""
    for _ in range(random.choice((1, 1, 2, 3))):
        lines = [text]
        random.choice((_number, _number, _token, _token, _character, _cut, _repeat))(lines, random)
        text = "".join(lines)
    return text
