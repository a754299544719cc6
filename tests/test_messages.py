"""Data-channel messages: each row of the wire contract, and anything at all from the page."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream import ControlError, MessageError
from rtcstream.controls import MAX_TEXT, Values, describe
from rtcstream.messages import (
    MAX_MESSAGE,
    MAX_SEQ,
    ClientData,
    Controls,
    End,
    Error,
    Log,
    Progress,
    Result,
    Run,
    ServerData,
    ServerMessage,
    Set,
    State,
    Stats,
    Talk,
    Time,
    encode,
    parse,
)

# Fewer examples than usual for a quick run; no time limits, on machines that are busy.
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

text = st.text(st.characters())  # lone surrogates too
finite = st.floats(allow_nan=False, allow_infinity=False)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            '{"type": "set", "seq": 7, "values": {"mode": "edges"}}',
            Set(7, {"mode": "edges"}),
        ),
        ('{"type": "set", "seq": 0, "values": {}}', Set(0, {})),
        (f'{{"type": "set", "seq": {MAX_SEQ}, "values": {{}}}}', Set(MAX_SEQ, {})),
        ('{"type": "set", "seq": 1, "values": {}, "later": true}', Set(1, {})),
        ('{"type": "data", "data": [1, {"a": null}]}', ClientData([1, {"a": None}])),
        ('{"type": "data", "data": null}', ClientData(None)),
        ('{"type": "run"}', Run()),
        ('{"type": "turn", "on": true}', Talk(True)),
        (' {"data": "\\ud83d\\udeb2", "type": "data"}\n', ClientData("🚲")),
    ],
)
def test_what_a_page_says(message: str, expected: Set | ClientData | Run | Talk) -> None:
    """Each message to the server is read as its own type; fields of a later version are let be."""
    assert parse(message) == expected


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b'{"type": "data", "data": 1}', "binary messages have no meaning here; send JSON text"),
        ("", "the message is not JSON"),
        ("{", "the message is not JSON"),
        ("{'type': 'data'}", "the message is not JSON"),
        ('{"type": "data", "data": 1}{}', "the message is not JSON"),
        ("[" * 30_000, "the message is not JSON"),
        ('{"type": ' + "[" * 20_000 + "]" * 20_000 + "}", "the message is not JSON"),
        ("9" * 5000, "the message is not JSON"),
        ("[]", 'the message must be a JSON object with a "type"'),
        ("null", "must be a JSON object"),
        ('"set"', "must be a JSON object"),
        ("{}", 'there is no message type None here; there are "set", "data", "run",'),
        ('{"type": "SET"}', "there is no message type 'SET' here"),
        ('{"type": ["set"]}', "there is no message type ['set'] here"),
        ('{"type": "data"}', 'a "data" message must carry "data"'),
        ('{"type": "data", "data": NaN}', "NaN is not JSON (RFC 8259 section 6)"),
        ('{"type": "data", "data": [-Infinity]}', "-Infinity is not JSON"),
        ('{"type": "data", "data": Infinity}', "Infinity is not JSON"),
        ('"' + "é" * (MAX_MESSAGE // 2) + '"', f"the message has {MAX_MESSAGE + 2} bytes; at most"),
    ],
)
def test_what_is_no_message(message: str | bytes, sentence: str) -> None:
    """Anything malformed is an error that says what is wrong with it, in few words."""
    with pytest.raises(MessageError) as caught:
        parse(message)
    assert sentence in str(caught.value)
    assert caught.value.seq is None
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "seq", ["-1", "1.5", "1.0", '"1"', "true", "null", "[1]", str(MAX_SEQ + 1), "1e3"]
)
def test_a_number_that_is_no_seq(seq: str) -> None:
    """`seq` is a whole number from 0 that JSON carries exactly."""
    with pytest.raises(MessageError, match='"seq" must be a whole number from 0') as caught:
        parse(f'{{"type": "set", "seq": {seq}, "values": {{}}}}')
    assert caught.value.seq is None


@pytest.mark.parametrize("values", ["null", "[]", '"mode"', "7"])
def test_values_that_are_no_object(values: str) -> None:
    """A set whose values are no object is answered by its number."""
    with pytest.raises(MessageError, match='"values" must be an object') as caught:
        parse(f'{{"type": "set", "seq": 7, "values": {values}}}')
    assert caught.value.seq == 7


def test_a_set_without_seq_or_values() -> None:
    """Both fields of a set are required."""
    with pytest.raises(MessageError, match='"seq" must be'):
        parse('{"type": "set", "values": {}}')
    with pytest.raises(MessageError, match='"values" must be'):
        parse('{"type": "set", "seq": 1}')


@few
@given(text | st.text('[]{}",:0123456789.eE+-truefalsn ') | st.binary())
def test_any_text_is_read_or_refused(message: str | bytes) -> None:
    """No text or bytes whatever makes parsing fail in another way than a MessageError."""
    with contextlib.suppress(MessageError):
        assert isinstance(parse(message), Set | ClientData | Run)


@few
@given(
    st.dictionaries(text, data)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["set", "data", "run"]) | data},
        optional={"seq": st.integers() | data, "values": st.dictionaries(text, data), "data": data},
    )
)
def test_any_object_is_read_or_refused(message: dict[str, Any]) -> None:
    """A JSON object is read with its fields as they stand, or refused with a MessageError."""
    try:
        read = parse(json.dumps(message))
    except MessageError as error:
        assert error.seq is None or error.seq == message["seq"]
        return
    if isinstance(read, Set):
        assert (message["type"], message["seq"], message["values"]) == (
            "set",
            read.seq,
            read.values,
        )
        assert type(read.seq) is int and 0 <= read.seq <= MAX_SEQ
    elif isinstance(read, ClientData):
        assert (message["type"], message["data"]) == ("data", read.data)
    else:
        assert message["type"] == "run"


@few
@given(st.integers(0, MAX_SEQ), st.dictionaries(text, data, max_size=4), st.booleans())
def test_a_set_comes_as_it_was_sent(seq: int, values: dict[str, Any], ascii_only: bool) -> None:
    """A set that a page encodes, escaping or not, is the one that is read."""
    body = {"type": "set", "seq": seq, "values": values}
    assert parse(json.dumps(body, ensure_ascii=ascii_only)) == Set(seq, values)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            Controls(7, {"mode": "edges", "on": True}, 3),
            {"type": "controls", "seq": 7, "values": {"mode": "edges", "on": True}, "revision": 3},
        ),
        (Controls(None, {}, 0), {"type": "controls", "seq": None, "values": {}, "revision": 0}),
        (
            Error(7, "mode", "no"),
            {"type": "error", "seq": 7, "control": "mode", "message": "no"},
        ),
        (
            Error(None, None, "no"),
            {"type": "error", "seq": None, "control": None, "message": "no"},
        ),
        (
            Result(123456, 3, None, [1.5]),
            {"type": "result", "pts": 123456, "run": 3, "name": None, "data": [1.5]},
        ),
        (
            Log("warning", "slow"),
            {"type": "log", "level": "warning", "message": "slow", "count": 1},
        ),
        (State("running"), {"type": "state", "value": "running"}),
        (Progress(0.4, "half"), {"type": "progress", "value": 0.4, "text": "half"}),
        (ServerData({"a": None}), {"type": "data", "data": {"a": None}}),
        (
            Stats(
                30.0,
                29.5,
                None,
                3,
                1_500_000,
                (1280, 720),
                None,
                0,
                (90_000, 1.5),
                {"encode": (1.5, 2.25)},
            ),
            {
                "type": "stats",
                "fps_in": 30.0,
                "fps_out": 29.5,
                "function_ms": None,
                "dropped": 3,
                "bitrate": 1_500_000,
                "size_in": [1280, 720],
                "size_out": None,
                "messages_dropped": 0,
                "clock": [90_000, 1.5],
                "stages": {"encode": [1.5, 2.25]},
            },
        ),
        (Time(12.5), {"type": "time", "remaining": 12.5}),
        (End("time_limit"), {"type": "end", "reason": "time_limit"}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else "",
)
def test_what_is_said_to_a_page(message: ServerMessage, expected: dict[str, Any]) -> None:
    """Each message to the page has the fields of the wire contract, and no others."""
    assert json.loads(encode(message)) == expected


@few
@given(data)
def test_data_arrives_as_it_was_sent(value: Any) -> None:
    """What JSON can say travels unchanged to the page, and would back again."""
    message = encode(ServerData(value))
    assert message.isascii()
    assert json.loads(message) == {"type": "data", "data": value}
    assert parse(message) == ClientData(value)


@pytest.mark.parametrize(
    "value", [math.nan, [math.inf], {"a": -math.inf}, {1, 2}, b"x", object(), {(1, 2): 3}]
)
def test_data_without_a_json_form(value: Any) -> None:
    """Data that JSON cannot say is refused, and not sent as something that no page can read."""
    with pytest.raises(MessageError, match="it has no JSON form"):
        encode(ServerData(value))


def test_data_that_holds_itself() -> None:
    """Data without an end is refused."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(MessageError, match="it has no JSON form"):
        encode(ServerData(endless))


def test_the_largest_message() -> None:
    """A message of 64 KiB is sent, one of a byte more is refused with its size."""
    room = MAX_MESSAGE - len(encode(ServerData("")))
    assert len(encode(ServerData("x" * room))) == MAX_MESSAGE
    with pytest.raises(MessageError, match=f"it takes {MAX_MESSAGE + 1} bytes of JSON; at most"):
        encode(ServerData("x" * (room + 1)))


@pytest.mark.parametrize("letter", ["x", "é", "🚲", '"'])
def test_whatever_is_set_can_be_acknowledged(letter: str) -> None:
    """Values that together would not fit into the acknowledgement are rejected, not swallowed."""
    values = Values([describe(f"text{number}", str, "") for number in range(9)])
    rejected = 0
    for number in range(9):
        try:
            values.change({f"text{number}": letter * MAX_TEXT}, 1)
        except ControlError as error:
            assert error.control == f"text{number}"
            rejected += 1
        encode(Controls(1, values.to_json(), 2**53))
    assert rejected
