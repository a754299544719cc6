"""Controls: what each type becomes, and which values each takes."""

import enum
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream import ControlError, File, Label, Point, Range
from rtcstream.controls import MAX_INTEGER, MAX_TEXT, Control, describe
from tests.sample_controls import (
    ALL,
    BLOCK,
    COLOUR,
    COUNT,
    GAIN,
    HEIGHT,
    MODE,
    NAME,
    ON,
    SIZE,
    SPEED,
    SPOT,
    TARGET,
    Mode,
    Speed,
)

# Fewer examples than usual for a quick run; no time limits, on machines that are busy.
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Anything that JSON text can be read as, lone surrogates and Python's NaN and Infinity included.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
near = st.one_of(
    st.integers(-1, 21), st.floats(-0.1, 20.1), st.sampled_from(["EDGES", "FLIP", "SLOW", "red"])
)


def shape(control: Control) -> tuple[Any, ...]:
    entry = control.describe()
    return tuple(entry[k] for k in ("type", "default", "minimum", "maximum", "step", "choices"))


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (bool, True, ("boolean", True, None, None, None, None)),
        (str, "hi", ("string", "hi", None, None, None, None)),
        (int, 3, ("integer", 3, None, None, None, None)),
        (float, 0.5, ("number", 0.5, None, None, None, None)),
        (float, 1, ("number", 1.0, None, None, None, None)),
        (Annotated[int, Range(1, 20)], 5, ("integer", 5, 1, 20, None, None)),
        (Annotated[int, Range(1.0, 9.0, 2.0)], 5, ("integer", 5, 1, 9, 2, None)),
        (Annotated[float, Range(0, 1, 0.1)], 0, ("number", 0.0, 0.0, 1.0, 0.1, None)),
        (Literal["a", "b"], "b", ("choice", "b", None, None, None, ["a", "b"])),
        (Literal[1, 2.5, "x"], 2.5, ("choice", 2.5, None, None, None, [1, 2.5, "x"])),
        (Mode, Mode.FLIP, ("choice", "FLIP", None, None, None, ["EDGES", "FLIP"])),
        (Mode, "FLIP", ("choice", "FLIP", None, None, None, ["EDGES", "FLIP"])),
        (Point, Point(0, 1), ("point", {"x": 0, "y": 1}, None, None, None, None)),
        (Point | None, None, ("point", None, None, None, None, None)),
        (Speed, Speed.FAST, ("choice", "FAST", None, None, None, ["SLOW", "FAST"])),
    ],
)
def test_what_a_type_becomes(annotation: Any, default: Any, expected: tuple[Any, ...]) -> None:
    """Each type of the table becomes the control that `stream.json` describes."""
    found = shape(describe("x", annotation, default))
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("name", "annotation", "label"),
    [
        ("line_width", int, "Line width"),
        ("_x", int, "X"),
        ("x", Annotated[int, Label("Width, px")], "Width, px"),
        ("x", Annotated[int, Label("Width"), Range(0, 9)], "Width"),
    ],
)
def test_the_words_beside_a_control(name: str, annotation: Any, label: str) -> None:
    """A control is labelled by its `Label`, or else by its name in words."""
    entry = describe(name, annotation, 0).describe()
    assert (entry["name"], entry["label"]) == (name, label)


@pytest.mark.parametrize(
    ("annotation", "default", "sentence"),
    [
        (list[int], [], "list[int] cannot be a control; write one of Literal['a', 'b'], an Enum"),
        (bytes, b"", "bytes cannot be a control; write one of"),
        (int | None, None, "int | None cannot be a control"),
        (Point, None, "its default is None: write `Point | None`, or `= Point(0.5, 0.5)`"),
        (Point, (0.5, 0.5), "its default must be a Point, `Point(0.5, 0.5)`, not (0.5, 0.5)"),
        (Annotated[Point, Range(0, 1)], Point(0, 0), "goes with int or float only"),
        (Annotated[str, Range(1, 2)], "", "goes with int or float only"),
        (Annotated[bool, Range(0, 1)], True, "goes with int or float only"),
        (Annotated[int, Range(0, 1, 0.5)], 0, "has fractions, so write Annotated[float, Range("),
        (Annotated[int, Range(1, 2), Range(1, 3)], 1, "it has 2 Range options; keep one"),
        (
            Annotated[int, "px"],
            1,
            "'px' is not an option of a control; write `Label('px')`",
        ),
        (Annotated[int, Range(1, 20)], 30, "its default does not fit: x must be from 1 to 20"),
        (int, 2.5, "its default does not fit: x must be a whole number, not 2.5"),
        (int, True, "its default does not fit: x must be a whole number, not true"),
        (float, math.nan, "its default does not fit: x must be a finite number"),
        (bool, 1, "its default does not fit: x must be true or false, not 1"),
        (str, None, "its default does not fit: x must be text, not nothing"),
        (Literal["a"], "b", "its default does not fit: x must be one of a, not “b”"),
        (Mode, "e", "its default does not fit: x must be one of EDGES, FLIP, not “e”"),
        (Literal[True], True, "the choices of a Literal must be texts or numbers"),
        (Literal[1, "1"], 1, "two choices of the Literal read the same in a query string"),
        (enum.Enum("Empty", []), None, "Empty has no members to choose from"),
    ],
)
def test_what_cannot_be_a_control(annotation: Any, default: Any, sentence: str) -> None:
    """A type, an option or a default that does not fit is refused with what to write instead."""
    with pytest.raises(ValueError) as caught:
        describe("x", annotation, default)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((2, 1), "minimum must be less than maximum"),
        ((1, 1), "minimum must be less than maximum"),
        ((0, math.inf), "must be finite"),
        ((math.nan, 1), "must be finite"),
        ((0, 10**400), "must be finite"),
        ((0, 1, 0), "step must be above zero"),
        ((0, 1, -1), "step must be above zero"),
        ((0, 1, math.nan), "must be finite"),
        (("0", 1), "must be numbers"),
        ((False, 1), "must be numbers"),
    ],
)
def test_a_range_that_makes_no_sense(arguments: tuple[Any, ...], sentence: str) -> None:
    """`Range` refuses bounds that are not finite numbers in order."""
    with pytest.raises(ValueError, match=sentence):
        Range(*arguments)


@pytest.mark.parametrize(
    ("control", "value", "expected"),
    [
        (SIZE, 1, 1),
        (SIZE, 20, 20),
        (SIZE, 4, 4),  # between two steps
        (SIZE, 5.0, 5),
        (COUNT, MAX_INTEGER, MAX_INTEGER),
        (COUNT, -MAX_INTEGER, -MAX_INTEGER),
        (GAIN, 0, 0.0),
        (GAIN, 5e-324, 5e-324),
        (HEIGHT, -1.7e308, -1.7e308),
        (HEIGHT, 10**300, 1e300),
        (ON, True, True),
        (NAME, "é 漢 🚲\n", "é 漢 🚲\n"),
        (NAME, "x" * MAX_TEXT, "x" * MAX_TEXT),
        (COLOUR, "green", "green"),
        (BLOCK, 16, 16),
        (BLOCK, 16.0, 16),
        (MODE, "FLIP", Mode.FLIP),
        (SPEED, "FAST", Speed.FAST),
        (SPOT, {"x": 0, "y": 0.25}, Point(0.0, 0.25)),
        (TARGET, {"y": 1, "x": 1}, Point(1.0, 1.0)),
        (TARGET, None, None),
    ],
)
def test_a_value_that_is_taken(control: Control, value: Any, expected: Any) -> None:
    """A JSON value comes as the function's own type, and goes back as the page knows it."""
    parsed = control.parse(value)
    assert parsed == expected and type(parsed) is type(expected)
    assert control.parse(control.to_json(parsed)) == parsed


@pytest.mark.parametrize(
    ("control", "value", "sentence"),
    [
        (SIZE, 0, "size must be from 1 to 20, not 0"),
        (SIZE, 21, "size must be from 1 to 20, not 21"),
        (SIZE, 2.5, "size must be a whole number from 1 to 20, not 2.5"),
        (SIZE, "5", "size must be a whole number from 1 to 20, not “5”"),
        (SIZE, True, "not true"),
        (SIZE, None, "not nothing"),
        (SIZE, [5], "not [5]"),
        (SIZE, math.inf, "a whole number"),
        (COUNT, MAX_INTEGER + 1, f"count must be at most {MAX_INTEGER:,}, not 9007199254740992"),
        (COUNT, 10**4000, "count must be at most"),
        (GAIN, 1.0000001, "gain must be from 0 to 1, not 1.0000001"),
        (GAIN, -5e-324, "gain must be from 0 to 1, not -5e-324"),
        (GAIN, True, "gain must be a number from 0 to 1, not true"),
        (GAIN, math.nan, "a finite number"),
        (HEIGHT, math.inf, "a finite number"),
        (HEIGHT, -math.inf, "a finite number"),
        (HEIGHT, 10**400, "a finite number"),
        (HEIGHT, "1", "height must be a number, not “1”"),
        (ON, 1, "on must be true or false, not 1"),
        (ON, "true", "on must be true or false"),
        (NAME, 1, "name must be text, not 1"),
        (NAME, "x" * (MAX_TEXT + 1), "name must be at most 10,000 characters long, not 10,001"),
        (NAME, "\ud800", "whole characters"),
        (COLOUR, "blue", "colour must be one of red, green, not “blue”"),
        (COLOUR, ["red"], 'not ["red"]'),
        (COLOUR, {"red": 1}, 'not {"red": 1}'),
        (COLOUR, "a\nb\udcff", "not “a\ufffdb\ufffd”"),
        (COLOUR, "", "not empty"),
        (BLOCK, "8", "block must be one of 8, 16, auto, not “8”"),
        (BLOCK, True, "not true"),
        (MODE, "e", "mode must be one of EDGES, FLIP, not “e”"),
        (MODE, "edges", "not “edges”"),
        (SPEED, 1, "speed must be one of SLOW, FAST, not 1"),
        (SPOT, None, 'spot must be a place in the picture, {"x": 0..1, "y": 0..1}, not nothing'),
        (SPOT, [0.5, 0.5], "a place in the picture"),
        (SPOT, {"x": 0.5}, "a place in the picture"),
        (SPOT, {"x": 0.5, "y": 0.5, "z": 0}, "a place in the picture"),
        (SPOT, {"x": 0.5, "y": 1.0001}, "a place in the picture"),
        (SPOT, {"x": True, "y": 0}, "a place in the picture"),
        (SPOT, {"x": "0", "y": 0}, "a place in the picture"),
        (SPOT, {"x": math.nan, "y": 0}, "a place in the picture"),
        (SPOT, {"x": 10**400, "y": 0}, "a place in the picture"),
        (TARGET, {}, "target must be a place in the picture"),
    ],
)
def test_a_value_that_is_rejected(control: Control, value: Any, sentence: str) -> None:
    """A value outside is an error that names the control and what it takes, in few words."""
    with pytest.raises(ControlError) as caught:
        control.parse(value)
    assert sentence in str(caught.value)
    assert caught.value.control == control.name
    assert len(str(caught.value)) < 200


def test_a_value_that_cannot_be_shown() -> None:
    """What is nested deeper than Python can say, or has more digits, is rejected like anything
    else."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, 10**5000, {"a": 10**5000}):
        with pytest.raises(ControlError, match="not more than can be shown"):
            ON.parse(value)


@pytest.mark.parametrize("control", ALL, ids=lambda control: control.name)
@few
@given(value=anything | near)
def test_parse_takes_it_as_it_is_or_not_at_all(control: Control, value: Any) -> None:
    """Whatever JSON says is either taken unchanged or rejected by the control's name."""
    try:
        parsed = control.parse(value)
    except ControlError as error:
        assert error.control == control.name
        return
    assert control.to_json(parsed) == value, "never clamped"
    assert isinstance(value, bool) == (control.type == "boolean")
    if control.type in ("integer", "number"):
        assert type(parsed) is (int if control.type == "integer" else float)
        assert math.isfinite(parsed)
        assert control.minimum is None or control.minimum <= parsed
        assert control.maximum is None or parsed <= control.maximum


@pytest.mark.parametrize(
    ("control", "text", "expected"),
    [
        (SIZE, "4", 4),
        (COUNT, "-7", -7),
        (COUNT, "+7", 7),
        (GAIN, ".25", 0.25),
        (HEIGHT, "-1.5e3", -1500.0),
        (HEIGHT, "2.", 2.0),
        (ON, "true", True),
        (ON, "false", False),
        (NAME, "true 5 é", "true 5 é"),
        (COLOUR, "green", "green"),
        (BLOCK, "16", 16),
        (BLOCK, "auto", "auto"),
        (MODE, "FLIP", Mode.FLIP),
        (SPOT, "0.25,1", Point(0.25, 1.0)),
        (TARGET, "", None),
    ],
)
def test_the_text_of_a_query(control: Control, text: str, expected: Any) -> None:
    """A first value from the query string comes as the type that the function asks for."""
    parsed = control.parse_query(text)
    assert parsed == expected and type(parsed) is type(expected)


@pytest.mark.parametrize(
    ("control", "text"),
    [
        *((SIZE, text) for text in ("", "30", "4.5", "1_0", "٣", "0x4", "4\n", "9" * 5000)),
        *((GAIN, text) for text in ("nan", "inf", "-Infinity", "1e5", "1_0", "0,5", "true")),
        *((HEIGHT, text) for text in ("1e400", "1" * 400, "1" * 5000, "0x1p3")),
        *((ON, text) for text in ("True", "1", "yes", "")),
        *((COLOUR, text) for text in ("Red", "")),
        *((MODE, text) for text in ("e", "flip", "Mode.FLIP")),
        *((SPOT, text) for text in ("", "0.5", "0.5,0.5,0.5", "0.5;0.5", "nan,0", "2,0", "x,y")),
        *((TARGET, text) for text in ("none", "null", "0.5, 0.5")),
        (BLOCK, "8.0"),
        (NAME, "\udcff"),
    ],
)
def test_the_text_of_a_query_that_is_rejected(control: Control, text: str) -> None:
    """Text that is not plainly a value of the control is rejected, by the control's name."""
    with pytest.raises(ControlError) as caught:
        control.parse_query(text)
    assert caught.value.control == control.name
    assert str(caught.value).startswith(f"{control.name} must be ")


@pytest.mark.parametrize("control", ALL, ids=lambda control: control.name)
@few
@given(text=st.text(st.characters()) | st.floats().map(str) | st.integers().map(str))
def test_any_query_text_is_parsed_or_rejected(control: Control, text: str) -> None:
    """Any text in a query gives a value that the control takes from JSON too, or is rejected."""
    try:
        parsed = control.parse_query(text)
    except ControlError:
        return
    assert control.parse(control.to_json(parsed)) == parsed


def test_a_point_in_a_picture() -> None:
    """A Point is a pixel of any picture, the last one at its far edges."""
    picture = np.zeros((480, 640, 3), np.uint8)
    assert Point(0, 0).pixel(picture) == (0, 0)
    assert Point(0.5, 0.25).pixel(picture) == (320, 120)
    assert Point(1, 1).pixel(picture) == (639, 479)
    with pytest.raises(ValueError, match="from 0 to 1"):
        Point(1.5, 0)


def test_a_file_for_a_process_of_ours() -> None:
    """A worker process gets a file's path, which no page learns, nor can give."""
    control = describe("clip", File | None, None)
    file = File(Path("/tmp/x/1.mp4"), "x.mp4", 3)
    assert control.unpack(control.pack(file)) == file
    assert control.unpack(control.pack(None)) is None
    assert control.to_json(file) == {"name": "x.mp4", "size": 3}
    for wrong in (control.pack(file), control.to_json(file), "x.mp4"):
        with pytest.raises(ControlError, match="null, or uploaded"):
            control.parse(wrong)
    assert SPOT.unpack(SPOT.pack(Point(0.5, 1))) == Point(0.5, 1)
