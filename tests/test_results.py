"""Results: what a function returns beside pictures, as JSON, and what is refused with its place."""

import enum
import json
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtcstream import Box, ResultError
from rtcstream.results import MAX_DEPTH, to_json

# Fewer examples than usual for a quick run; no time limits, on machines that are busy.
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Colour(enum.Enum):
    RED = 1


class Kind(enum.StrEnum):
    CAT = "a cat"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: float
    y: Any


@dataclass
class Found:
    point: Point
    tags: tuple[str, ...] = ()
    scores: NDArray[Any] = field(default_factory=lambda: np.zeros(0))


BOX = Box(1, 2.5, np.float32(10), 20, "cat", np.float64(0.5))  # type: ignore[arg-type]
BOX_JSON = {"x": 1, "y": 2.5, "width": 10.0, "height": 20, "label": "cat", "score": 0.5}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("é 🚲", "é 🚲"),
        (True, True),
        (7, 7),
        (0.25, 0.25),
        (np.bool_(True), True),
        (np.uint8(200), 200),
        (np.int64(-(2**40)), -(2**40)),
        (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.str_("a"), "a"),
        (np.array(5), 5),
        (np.array(0.5, np.float32), 0.5),
        (np.arange(4, dtype=np.uint8).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array([True, False]), [True, False]),
        (np.zeros((0, 4)), []),
        (np.array(["a", "b"]), ["a", "b"]),
        ([1, (2, 3), []], [1, [2, 3], []]),
        ({"a": np.float32(1), 2: None}, {"a": 1.0, "2": None}),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Colour.RED, "RED"),
        (Level.HIGH, "HIGH"),
        (Kind.CAT, "CAT"),
        (Point(1, np.int8(2)), {"x": 1, "y": 2}),
        (
            Found(Point(1, 2), ("a",), np.array([0.5])),
            {"point": {"x": 1, "y": 2}, "tags": ["a"], "scores": [0.5]},
        ),
        ([Found(Point(0, None))], [{"point": {"x": 0, "y": None}, "tags": [], "scores": []}]),
        (BOX, BOX_JSON),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_can_be_returned(value: Any, expected: Any) -> None:
    """Numbers, texts, arrays, dataclasses and their nests become plain JSON."""
    converted = to_json(value)
    assert converted == expected
    assert json.loads(json.dumps(converted, allow_nan=False)) == expected


def test_a_box_carries_the_size_of_its_picture() -> None:
    """A box, however deep it lies, travels with the size of the picture that it is measured in."""
    converted = to_json({"found": [BOX, (BOX,)], "best": None}, (640, 480))
    box = {**BOX_JSON, "frame": [640, 480]}
    assert converted == {"found": [box, [box]], "best": None}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (math.nan, "the result is nan, which JSON cannot say; return None instead"),
        (np.float32("inf"), "the result is inf"),
        ({"score": [0.5, 1.0, -math.inf]}, "the result['score'][2] is -inf"),
        (np.array([[0.0, math.nan]]), "the result[0][1] is nan"),
        (Found(Point(0, math.nan)), "the result['point']['y'] is nan"),
        (Box(math.nan, 0, 1, 1), "the result['x'] is nan"),
        ({1, 2}, "the result is of type set, which cannot be sent; return text, numbers, lists"),
        ([b"x"], "the result[0] is of type bytes, which cannot be sent"),
        ((i for i in range(3)), "the result is of type generator"),
        ({"a": object()}, "the result['a'] is of type object"),
        (1j, "the result is of type complex"),
        (np.array([1j]), "the result[0] is of type complex"),
        (Fraction(1, 2), "the result is of type Fraction"),
        (Found, "the result is of type type"),
        ({(1, 2): 3}, "the result has the key (1, 2); keys must be texts"),
        ({"a": {None: 3}}, "the result['a'] has the key None"),
        (
            np.zeros((480, 640, 3), np.uint8),
            "the result is an array of shape (480, 640, 3), too large to send as JSON; "
            "return it as the Image",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_returned(value: Any, place: str) -> None:
    """What JSON cannot say is refused with its place, and what to return instead."""
    with pytest.raises(ResultError) as caught:
        to_json(value)
    assert str(caught.value).startswith(place)


def test_the_place_begins_with_what_it_is() -> None:
    """The caller names what is converted."""
    with pytest.raises(ResultError, match=r"^the data\[0\] is nan"):
        to_json([math.nan], where="the data")


def test_a_result_without_an_end() -> None:
    """A value that holds itself, or is nested too deep, is refused in few words."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ResultError, match=f"is nested more than {MAX_DEPTH} deep") as caught:
        to_json(endless)
    assert len(str(caught.value)) < 200
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert to_json(nested) == nested


@few
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
        max_leaves=8,
    )
)
def test_anything_is_converted_or_refused(value: Any) -> None:
    """Every value becomes strict JSON, or is refused as a result."""
    try:
        converted = to_json(value)
    except ResultError:
        return
    assert json.loads(json.dumps(converted, allow_nan=False)) == converted
