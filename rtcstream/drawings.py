"""What a function found in a picture, for the page to draw over it.

Places are in pixels of the picture that the function was given, or that a generator yields with
it: x to the right, y down, from the upper left corner. Things of one ``label`` have one colour.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 1 << 22
"""The most pixels of a mask, such as 2048x2048: the page unpacks each of them."""
MAX_RUNS = 48 * 1024
"""The most bytes of a mask on its way: a message of results has at most 64 KiB."""
MAX_POINTS = 1024
MAX_SERIES = 8

Number: TypeAlias = float | int | np.floating[Any] | np.integer[Any]
"""A number of Python's or of numpy's."""


@dataclass(frozen=True)
class Box:
    """A rectangle around something.

    ``x``, ``y`` are its left and top, ``width`` and ``height`` its size, in pixels; ``score`` is in
    0..1, or None. Raises ValueError for another score.
    """

    x: float
    y: float
    width: float
    height: float
    label: str = ""
    score: float | None = None

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, eq=False)
class Mask:
    """The pixels of something: bool ``(height, width)``, True where it is.

    It is laid over the whole picture, whatever its own size, or over its part ``area``: left, top,
    width and height in pixels of the picture. So a model's small mask, or one cut to its box, goes
    as it is. At most 2048x2048 pixels, and 48 KiB when packed: 2 to 5 KiB is usual, noise takes
    more. Raises ValueError for other arrays, or a score outside 0..1.
    """

    pixels: NDArray[np.bool_]
    label: str = ""
    score: float | None = None
    area: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        _check(self)
        pixels: Any = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.bool_ or pixels.ndim != 2:
            given = (
                f"{pixels.dtype} {pixels.shape}"
                if isinstance(pixels, np.ndarray)
                else type(pixels).__name__
            )
            raise ValueError(
                f"a Mask is a bool array (height, width), such as `m > 0.5`: not {given}"
            )
        if not 0 < pixels.size <= MAX_PIXELS:
            raise ValueError(
                f"a Mask has 1 to {MAX_PIXELS} pixels, not {pixels.shape[1]}x{pixels.shape[0]}; "
                "every second one, `m[::2, ::2]`, is laid over the whole picture as well"
            )
        if self.area is not None and not _are_numbers(self.area, 4):
            raise ValueError("a Mask's area is (left, top, width, height) in pixels, or None")


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Points of one thing, such as the joints of a body: numbers ``(n, 2)``, x and y in pixels.

    Or ``(n, 3)`` with a score of each in 0..1, by which it is drawn fainter. A row with NaN is a
    point that was not found. ``edges`` are pairs of their numbers, from 0, joined by lines.
    At most 1024 of each. Raises ValueError for other shapes, edges or scores.
    """

    points: NDArray[Any] | Sequence[Sequence[float]]
    edges: Sequence[tuple[int, int]] = ()
    label: str = ""
    score: float | None = None

    def __post_init__(self) -> None:
        _check(self)
        points = self.array()
        if points.ndim != 2 or points.shape[1] not in (2, 3) or len(points) > MAX_POINTS:
            raise ValueError(
                f"Keypoints are numbers (n, 2), or (n, 3) with scores, n at most {MAX_POINTS}: "
                f"not {points.shape}"
            )
        scores = points[:, 2:]
        if np.any((scores < 0) | (scores > 1)):
            raise ValueError("the third number of Keypoints is a score in 0..1")
        if len(self.edges) > MAX_POINTS:
            raise ValueError(f"Keypoints have at most {MAX_POINTS} edges, not {len(self.edges)}")
        edge: Any
        for edge in self.edges:
            if len(edge) != 2 or not all(0 <= end < len(points) for end in edge):
                raise ValueError(f"the edge {edge!r} is not two numbers of {len(points)} points")

    def array(self) -> NDArray[np.float64]:
        """The points as one array. Raises ValueError where they are not of one length."""
        try:
            return np.asarray(self.points, np.float64)
        except (TypeError, ValueError):
            raise ValueError("Keypoints are rows of two or three numbers each") from None


@dataclass(frozen=True)
class Tag:
    """What the whole picture is, or shows: drawn in its corner.

    ``score`` is in 0..1, or None. Raises ValueError for another score, or an empty label.
    """

    label: str
    score: float | None = None

    def __post_init__(self) -> None:
        _check(self)
        if not self.label:
            raise ValueError("a Tag has a label")


@dataclass(frozen=True)
class Text:
    """Words on the picture, from ``x``, ``y`` (their left and top) on; without, under it as a
    subtitle.

    ``height`` is that of their line, in pixels of the picture; None: as it reads well.
    Raises ValueError for x without y, or a height that is not above zero.
    """

    text: str
    x: float | None = None
    y: float | None = None
    height: float | None = None

    def __post_init__(self) -> None:
        text: Any = self.text
        if not isinstance(text, str):
            raise ValueError(f"a Text is words, not {type(text).__name__}")
        if (self.x is None) != (self.y is None):
            raise ValueError(f"{self!r}: give x and y, or neither")
        if self.height is not None and not self.height > 0:
            raise ValueError(f"{self!r}: height must be above zero")


@dataclass(frozen=True)
class Plot:
    """Numbers as a live chart: one, or up to eight by name, each a line.

    The chart reaches from ``minimum`` to ``maximum``; None: as far as the numbers do. ``unit`` is
    shown behind them. Raises ValueError for what is no number, or bounds out of order.
    """

    values: Number | Mapping[str, Number]
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        values = self.series()
        if not 0 < len(values) <= MAX_SERIES or not _are_numbers(values.values(), len(values)):
            raise ValueError(
                f"a Plot has a number, or 1 to {MAX_SERIES} by name: not {self.values!r}"
            )
        if None not in (self.minimum, self.maximum) and not self.minimum < self.maximum:  # type: ignore[operator]
            raise ValueError(f"{self!r}: minimum must be less than maximum")

    def series(self) -> Mapping[str, Number]:
        """The numbers by name; of one alone the name is empty."""
        return self.values if isinstance(self.values, Mapping) else {"": self.values}


Drawing: TypeAlias = Box | Mask | Keypoints | Tag | Text | Plot


def to_fields(drawing: Drawing) -> dict[str, Any]:
    """What the page is told of it. Raises ValueError for a mask that takes too much."""
    match drawing:
        case Box():  # known by its sides; the oldest of them has no type
            return dict(vars(drawing))
        case Mask():
            height, width = drawing.pixels.shape
            more = {"size": [width, height], "runs": pack(drawing.pixels), "area": drawing.area}
            return {"type": "mask", **_who(drawing), **more}
        case Keypoints():
            points = [_point(row) for row in drawing.array().tolist()]
            edges = [[int(start), int(end)] for start, end in drawing.edges]
            return {"type": "keypoints", **_who(drawing), "points": points, "edges": edges}
        case Tag():
            return {"type": "tag", **_who(drawing)}
        case Text():
            return {"type": "text", **vars(drawing)}
        case Plot():
            return {"type": "plot", **vars(drawing), "values": dict(drawing.series())}


def pack(pixels: NDArray[np.bool_]) -> str:
    """A mask, row by row, as the lengths of its runs: of False first, then of True, and so on.

    Each is a little-endian base-128 number (LEB128), all of them in base64. The last run may be
    left out when it is of False. Raises ValueError when that takes more than 48 KiB.
    """
    flat = pixels.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        changes = np.concatenate(([0], changes))
    ends = np.concatenate((changes, [flat.size] if flat[-1] else []))
    runs = np.diff(ends, prepend=0).astype(np.int64)
    groups = runs[:, None] >> np.array([0, 7, 14, 21]) & 0x7F  # up to 2**22 needs four
    lengths = 1 + (runs[:, None] >= np.array([1 << 7, 1 << 14, 1 << 21])).sum(axis=1)
    place = np.arange(4)
    groups |= (place < lengths[:, None] - 1) << 7
    packed = groups[place < lengths[:, None]].astype(np.uint8).tobytes()
    size = -(-len(packed) // 3) * 4
    if size > MAX_RUNS:
        raise ValueError(
            f"takes {size} bytes packed, and at most {MAX_RUNS} are sent; smooth it "
            "(cv2.medianBlur), make it smaller (`m[::2, ::2]`), or burn it into the Image"
        )
    return base64.b64encode(packed).decode()


def _point(row: list[float]) -> list[float] | None:
    """In hundredths of a pixel; None for a point that was not found."""
    return None if any(math.isnan(n) for n in row) else [round(n, 2) for n in row]


def _who(drawing: Mask | Keypoints | Tag) -> dict[str, Any]:
    return {"label": drawing.label, "score": drawing.score}


def _check(drawing: Box | Mask | Keypoints | Tag) -> None:
    kind = type(drawing).__name__
    label: Any = drawing.label
    score: Any = drawing.score
    if not isinstance(label, str):
        raise ValueError(f"the label of a {kind} is text, not {label!r}")
    if score is not None and (not _are_numbers([score], 1) or not 0 <= score <= 1):
        raise ValueError(f"the score of a {kind} is a number in 0..1, or None: not {score!r}")


def _are_numbers(values: Any, count: int) -> bool:
    try:
        every = list(values)
    except TypeError:
        return False
    return len(every) == count and all(
        isinstance(n, int | float | np.integer | np.floating) and not isinstance(n, bool)
        for n in every
    )
