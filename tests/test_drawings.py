"""What the page draws over a picture: what can be said of it, and how it is packed."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from rtcstream import Box, Keypoints, Mask, Plot, ResultError, Tag, Text
from rtcstream.drawings import MAX_RUNS, pack
from rtcstream.messages import Result, encode
from rtcstream.results import to_json

SIZE = (640, 480)


def unpack(runs: str, width: int, height: int) -> NDArray[np.bool_]:
    """As the page does it."""
    flat, at, inside = np.zeros(width * height, np.bool_), 0, False
    length = shift = 0
    for byte in base64.b64decode(runs):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            continue
        flat[at : at + length] = inside
        at, inside, length, shift = at + length, not inside, 0, 0
    assert at <= flat.size and not shift
    return flat.reshape(height, width)


masks = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(masks)
def test_a_mask_is_what_was_packed(pixels: NDArray[np.bool_]) -> None:
    """Every pixel comes back, whatever the shape, and however its memory lies."""
    for mask in (pixels, pixels.T, pixels[::-1, ::2]):
        told = to_json(Mask(mask, "cat", 0.5), SIZE)
        width, height = told["size"]
        assert np.array_equal(unpack(told["runs"], width, height), mask)
    assert json.loads(json.dumps(told)) == told
    assert (told["type"], told["label"], told["score"]) == ("mask", "cat", 0.5)
    assert (told["area"], told["frame"]) == (None, [640, 480])


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21, 2**22 - 1])
def test_the_lengths_of_runs(length: int) -> None:
    """A run of any length takes as many groups of seven bits as it needs."""
    pixels = np.zeros((1, 2**22), np.bool_)
    pixels[0, length] = True
    runs = pack(pixels)
    assert len(base64.b64decode(runs)) == max(1, -(-length.bit_length() // 7)) + 1
    assert np.array_equal(unpack(runs, 2**22, 1), pixels)


def test_a_mask_of_nothing_and_of_all() -> None:
    """No pixel takes no bytes, all of them a few."""
    assert pack(np.zeros((480, 640), np.bool_)) == ""
    assert len(pack(np.ones((480, 640), np.bool_))) == 8


def test_a_mask_that_takes_too_much() -> None:
    """Noise is refused with what to do; the largest mask that is taken fits into one message."""
    noise = np.random.default_rng(1).random((480, 640)) > 0.5
    with pytest.raises(ResultError, match=r"^the result\[1\], a Mask, takes \d+ bytes .*cv2"):
        to_json([1, Mask(noise)], SIZE)
    striped = np.zeros((MAX_RUNS * 3 // 4 // 640, 640), np.bool_)  # a byte for each of its runs
    striped[:, ::2] = True
    text = encode(Result(1, 0, "people", to_json(Mask(striped, "x" * 200), SIZE)))
    assert len(text) < 64 * 1024


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((4, 4), np.uint8), "such as `m > 0.5`: not uint8"),
        (np.zeros((4, 4, 1), np.bool_), r"not bool \(4, 4, 1\)"),
        ([[True]], "not list"),
        (np.zeros((0, 4), np.bool_), "1 to 4194304 pixels, not 4x0"),
        (np.zeros((2160, 3840), np.bool_), "`m\\[::2, ::2\\]`, is laid over the whole"),
    ],
    ids=["uint8", "three", "list", "empty", "large"],
)
def test_what_is_no_mask(given: Any, words: str) -> None:
    """Other arrays are refused where they are made, with what to write."""
    with pytest.raises(ValueError, match=words):
        Mask(given)


@pytest.mark.parametrize("wrong", [(1, 2, 3), (1, 2, 3, "4"), 5, (1, 2, 3, True)])
def test_what_is_no_area(wrong: Any) -> None:
    """A part of the picture is four numbers."""
    with pytest.raises(ValueError, match="left, top, width, height"):
        Mask(np.ones((2, 2), np.bool_), area=wrong)
    area: Any = (1, 2, 3, np.float32(4))
    assert to_json(Mask(np.ones((2, 2), np.bool_), area=area))["area"] == [1, 2, 3, 4.0]


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(0, 20), st.sampled_from([2, 3])),
        elements=st.floats(0, 1, width=32) | st.just(math.nan),
    )
)
def test_points_are_told_as_they_are(points: NDArray[np.float32]) -> None:
    """Each is told to a hundredth of a pixel, and one that was not found as null."""
    told = to_json(Keypoints(points, label="body"), SIZE)
    assert len(told["points"]) == len(points)
    for row, point in zip(told["points"], points, strict=True):
        if np.isnan(point).any():
            assert row is None
        else:
            assert np.abs(np.array(row) - point).max() <= 0.005 + 1e-6
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["frame"] == [640, 480]


@pytest.mark.parametrize(
    ("points", "edges", "words"),
    [
        ([[1, 2], [3]], (), "rows of two or three"),
        ([1, 2], (), r"not \(2,\)"),
        ([[1, 2, 3, 4]], (), r"not \(1, 4\)"),
        ([["a", "b"]], (), "rows of two or three"),
        ([[1, 2, 7]], (), "a score in 0..1"),
        (np.zeros((1025, 2)), (), "at most 1024"),
        ([[1, 2]], [(0, 1)], r"edge \(0, 1\) is not two numbers of 1 points"),
        ([[1, 2]], [(0, -1)], "is not two numbers"),
        ([[1, 2]], [(0, 0, 0)], "is not two numbers"),
        ([[1, 2]], [(0, 0)] * 1025, "at most 1024 edges"),
    ],
)
def test_what_are_no_keypoints(points: Any, edges: Any, words: str) -> None:
    """Other shapes, and edges to points that there are not, are refused."""
    with pytest.raises(ValueError, match=words):
        Keypoints(points, edges)


@pytest.mark.parametrize("score", [1.01, -0.1, "0.5", True, math.nan, np.float32(2)])
@pytest.mark.parametrize(
    "make",
    [
        lambda score: Box(0, 0, 1, 1, "a", score),
        lambda score: Mask(np.ones((1, 1), np.bool_), "a", score),
        lambda score: Keypoints([[0, 0]], (), "a", score),
        lambda score: Tag("a", score),
    ],
    ids=["Box", "Mask", "Keypoints", "Tag"],
)
def test_scores(make: Any, score: Any) -> None:
    """A score is from 0 to 1, of numpy's kinds too, and nothing else."""
    with pytest.raises(ValueError, match=r"the score of a \w+ is a number in 0\.\.1, or None"):
        make(score)
    assert to_json(make(np.float32(0.5)))["score"] == 0.5
    assert to_json(make(None))["score"] is None


def test_words() -> None:
    """A label is text, a tag has one, and a text has a place or none."""
    with pytest.raises(ValueError, match="the label of a Box is text, not 3"):
        Box(0, 0, 1, 1, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a Tag has a label"):
        Tag("")
    with pytest.raises(ValueError, match="a Text is words, not int"):
        Text(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x and y, or neither"):
        Text("a", x=1)
    with pytest.raises(ValueError, match="height must be above zero"):
        Text("a", 1, 1, 0)
    assert to_json(Tag("street", np.float64(0.25)), SIZE) == {
        "type": "tag",
        "label": "street",
        "score": 0.25,
    }
    assert to_json(Text("é", np.int32(3), 4.5), SIZE) == {  # type: ignore[arg-type]
        "type": "text",
        "text": "é",
        "x": 3,
        "y": 4.5,
        "height": None,
        "frame": [640, 480],
    }
    with pytest.raises(ResultError, match=r"the result\['x'\] is inf"):
        to_json(Text("a", math.inf, 1))


def test_plots() -> None:
    """Numbers alone or by name, in bounds if they are given."""
    told = {"type": "plot", "values": {"": 0.5}, "minimum": 0, "maximum": None, "unit": "m"}
    assert to_json(Plot(np.float16(0.5), minimum=0, unit="m")) == told
    assert to_json(Plot({"a": 1, "b": np.int8(2)}))["values"] == {"a": 1, "b": 2}
    for values in ({}, "1", True, None, {"a": "1"}, dict.fromkeys(map(str, range(9)), 1)):
        with pytest.raises(ValueError, match="a Plot has a number, or 1 to 8 by name"):
            Plot(values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="minimum must be less than maximum"):
        Plot(1, 1, 1)
    with pytest.raises(ResultError, match=r"the result\['values'\]\['a'\] is nan"):
        to_json(Plot({"a": math.nan}))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["cat", "dog"]), masks)))
def test_drawings_stand_anywhere_in_a_result(found: list[tuple[str, NDArray[np.bool_]]]) -> None:
    """Lists and dicts of them, mixed with others, are told each with its frame."""
    told = to_json({"n": len(found), "all": [Mask(m, name) for name, m in found]}, SIZE)
    assert [each["label"] for each in told["all"]] == [name for name, _ in found]
    assert all(each["frame"] == [640, 480] for each in told["all"])
