"""Mutated offers, candidates, queries and messages, through what reads them: `benchmarks.fuzz`.

A case is made of its kind, a seed and its number alone, so that one that fails can be had again.
"""

import enum
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal, NamedTuple

from aiortc.rtcicetransport import candidate_to_aioice
from aiortc.sdp import SessionDescription
from yarl import URL

from rtcstream import File, Image, Live, MaxSize, Point, Range, Stream, messages
from rtcstream.controls import Values
from rtcstream.errors import ControlError, MessageError, NegotiationError
from rtcstream.signaling import (
    CandidateError,
    FragmentError,
    parse_candidate,
    parse_fragment,
)
from rtcstream.transport.ice import is_usable_candidate
from rtcstream.transport.offers import read_offer
from rtcstream.trickle import to_aiortc
from tests.mutations import TOKENS, mutated, mutated_lines, mutated_token

LONGEST = 64 * 1024
"""Characters of a text: nobody is read any longer."""
SLOWEST = 0.5
"""Seconds of a processor that the reading of one text may take."""

# Those of Chromium, Firefox and FFmpeg's whip muxer are as these wrote them, but for addresses.
# OBS's and GStreamer's are made after the style of libdatachannel and webrtcbin, not recorded.
CORPUS = {
    path.stem: path.read_bytes().decode()
    for path in sorted((Path(__file__).parent / "corpus").glob("*.sdp"))
}

FRAGMENTS = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 "
    "ufrag EsAw network-id 1 network-cost 10\r\n"
    "a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n"
    "a=candidate:2154773085 1 udp 1686052607 198.51.100.7 61764 typ srflx raddr 192.0.2.1 "
    "rport 61764 generation 0\r\na=end-of-candidates\r\n",
    "a=group:BUNDLE 0 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:8b1c03fa\r\n"
    "a=ice-pwd:d0f2a7c6b85e4193a7f60c2d81b9e435\r\n"
    "a=candidate:0 1 UDP 2122252543 6f2d7a0e-5c1b-4b7a-9a53-2f0d6c1e8b74.local 40118 typ host\r\n"
    "a=candidate:1 1 TCP 2105524479 2001:db8::7 9 typ host tcptype active\r\n",
    "a=ice-ufrag:q7Lm\r\na=ice-pwd:k2Xv8YtB4wPz0Qh6RdS1nE\r\na=mid:0\r\n"
    "a=candidate:1 1 UDP 2122317823 127.0.0.1 49732 typ host\r\na=end-of-candidates\r\n",
)

CANDIDATES = tuple(
    line.removeprefix("a=")
    for text in (*FRAGMENTS, *CORPUS.values())
    for line in text.splitlines()
    if line.startswith("a=candidate:")
)

QUERIES = (
    "",
    "mode=edges&strength=4",
    "on=true&count=-12&ratio=0.25&mix=1",
    "color=RED&text=h%C3%A9llo%20there&hz=880.5",
    "mode=flip&color=GREEN&on=false&strength=20&count=9007199254740991&ratio=1e-3&text=a+b",
)

MESSAGES = (
    '{"type": "set", "seq": 7, "values": {"mode": "edges", "strength": 4}}',
    '{"type": "set", "seq": 8, "values": {"color": "GREEN", "on": true, "text": "\\u00e9\\n"}}',
    '{"type": "set", "seq": 9, "values": {"count": -3, "ratio": 1.5e2, "mix": 0.5, "hz": 220}}',
    '{"type": "data", "data": {"a": [1, 2.5, null, true, "x"], "b": {}}}',
    '{"type": "record", "on": true}',
    '{"type": "turn", "on": false}',
    '{"type": "run"}',
)

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**53, -(2**53), 10**40, 1.5, -0.0, 1e308, 5e-324),
    *(float("nan"), float("inf"), -float("inf"), "", "x" * 70_000, "\ud800", "\0", [], {}),
    *([[]], {"": None}, "edges", "RED", "set", [1] * 1000, {"mode": "flip"}, *TOKENS),
)
"""What stands in the place of something in a message."""


class Color(enum.Enum):
    RED = 1
    GREEN = 2


def controlled(
    image: Image,
    mode: Literal["edges", "flip"] = "flip",
    color: Color = Color.RED,
    on: bool = False,
    count: int = 0,
    strength: Annotated[int, Range(1, 20)] = 5,
    ratio: float = 1.0,
    mix: Annotated[float, Range(0.0, 1.0)] = 0.5,
    text: str = "",
    hz: Live[float] = Live(440.0),
    spot: Point = Point(0.5, 0.5),
    target: Point | None = None,
    clip: Annotated[File | None, MaxSize(100)] = None,
) -> Image:
    """A filter with a control of each type."""
    return image


CONTROLS = Stream(controlled).controls


class Failed(AssertionError):
    """A case that does what none may."""


class Case(NamedTuple):
    kind: str
    seed: int
    number: int

    @property
    def random(self) -> Random:
        return Random(f"{self.kind} {self.seed} {self.number}")

    def text(self) -> str:
        """The mutated text, of a kind that is one."""
        return KINDS[self.kind].make(self.random)[:LONGEST] if self.kind in KINDS else ""

    def check(self) -> bool:
        """Have the text read; whether it was accepted. Raises Failed."""
        text = self.text()
        before = time.thread_time()
        try:
            accepted = KINDS[self.kind].read(text)
        except Exception as error:
            raise Failed(self.told(text, error)) from error
        if (took := time.thread_time() - before) > SLOWEST:
            raise Failed(self.told(text, f"it took {took:.2f} s"))
        return accepted

    def told(self, text: str, what: object) -> str:
        """What to say of a case that failed, with which it can be had again."""
        again = f"python -m benchmarks.fuzz --seed {self.seed} --case {self.kind}:{self.number}"
        return f"{again}\n{what!r}\nof {text[:3000]!r}"


def make_offer(random: Random) -> str:
    return mutated(random.choice(list(CORPUS.values())), random)


def read_one_offer(text: str) -> bool:
    try:
        read_offer(text)
    except NegotiationError as error:
        check_words(str(error))
        return False
    return True


def make_fragment(random: Random) -> str:
    return mutated(random.choice(FRAGMENTS), random)


def read_fragment(text: str) -> bool:
    try:
        fragment = parse_fragment(text)
    except FragmentError as error:
        check_words(str(error))
        return False
    for candidate in fragment.candidates:
        if is_usable_candidate(candidate.text.split()):
            candidate_to_aioice(to_aiortc(candidate)).to_sdp()
    return True


def make_candidate(random: Random) -> str:
    return mutated_token(random.choice(CANDIDATES), random)


def read_candidate(text: str) -> bool:
    try:
        candidate = parse_candidate(text, "0")
    except CandidateError as error:
        check_words(str(error))
        return False
    assert candidate == parse_candidate(candidate.text, "0")
    if is_usable_candidate(candidate.text.split()):
        candidate_to_aioice(to_aiortc(candidate)).to_sdp()
    return True


def make_query(random: Random) -> str:
    query = random.choice(QUERIES)
    if random.random() < 0.3:
        parts = query.split("&")
        random.shuffle(parts)
        return "&".join([*parts, *parts[:1]])
    return mutated_token(query, random)


def read_query(text: str) -> bool:
    query = dict(URL("/session?" + text.replace("#", "%23"), encoded=True).query)
    values = Values(CONTROLS)
    try:
        values.first(query)
    except ControlError as error:
        check_words(str(error))
        return False
    finally:
        check_values(values)
    return True


def make_message(random: Random) -> str:
    text = random.choice(MESSAGES)
    if random.random() < 0.4:
        return mutated_token(text, random)
    if random.random() < 0.1:
        return mutated_lines(text, random)
    message = json.loads(text)
    for _ in range(random.choice((1, 1, 2))):
        place: Any = message
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = random.choice(keys)
            if isinstance(place[key], dict | list) and random.random() < 0.6:
                place = place[key]
                continue
            if isinstance(place, dict) and random.random() < 0.2:
                place[str(random.choice(TOKENS))] = place.pop(key)
            else:
                place[key] = random.choice(VALUES)
            break
    deep = random.random() < 0.01
    return "[" * 5000 if deep else json.dumps(message, ensure_ascii=random.random() < 0.5)


def read_message(text: str) -> bool:
    values = Values(CONTROLS)
    try:
        message = messages.parse(text)
        if isinstance(message, messages.Set):
            values.change(message.values, message.seq)
    except MessageError as error:
        messages.encode(messages.Error(error.seq, None, str(error)))
        return False
    except ControlError as error:
        messages.encode(messages.Error(0, error.control, str(error)))
        return False
    finally:
        check_values(values)
    return True


def check_words(words: str) -> None:
    """An error's words say something, at a length that a person reads."""
    assert 10 < len(words) < 1000, f"these are no words to help: {words[:200]!r}"
    words.encode()


def check_values(values: Values) -> None:
    """All of them can be acknowledged in one message."""
    messages.encode(messages.Controls(0, values.to_json(), values.revision))


def check_answer(offer: str, answer: str) -> None:
    """An answer has the sections of its offer, and in them nothing that was not offered."""
    assert answer.isascii() and "\0" not in answer
    asked, given = read_offer(offer)[1], SessionDescription.parse(answer)
    assert [(m.kind, m.rtp.muxId) for m in asked.media] == [
        (m.kind, m.rtp.muxId) for m in given.media
    ]
    for theirs, ours in zip(asked.media, given.media, strict=True):
        if ours.kind != "application":
            assert {str(each) for each in ours.fmt} <= {str(each) for each in theirs.fmt}
            offered = {(each.id, each.uri) for each in theirs.rtp.headerExtensions}
            taken = [(each.id, each.uri) for each in ours.rtp.headerExtensions]
            assert set(taken) <= offered
            assert len({number for number, _ in taken}) == len(taken)
            assert all(1 <= number <= 255 for number, _ in taken)


class Kind(NamedTuple):
    make: Callable[[Random], str]
    read: Callable[[str], bool]
    share: int
    """How many of a hundred cases are of this kind."""


KINDS = {
    "offer": Kind(make_offer, read_one_offer, 40),
    "fragment": Kind(make_fragment, read_fragment, 15),
    "candidate": Kind(make_candidate, read_candidate, 15),
    "query": Kind(make_query, read_query, 15),
    "message": Kind(make_message, read_message, 15),
}


def cases(seed: int, count: int) -> Iterator[Case]:
    """So many cases, of each kind its share."""
    order = [kind for kind, each in KINDS.items() for _ in range(each.share)]
    Random(seed).shuffle(order)
    for number in range(count):
        yield Case(order[number % len(order)], seed, number)


class Complaints(logging.Handler):
    """What is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter("%(name)s: %(message)s").format(record))

    def take(self) -> list[str]:
        """Those since the last time."""
        lines, self.lines = self.lines, []
        return lines


@contextmanager
def complaints() -> Iterator[Complaints]:
    """What is logged as an error meanwhile."""
    handler = Complaints()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
