"""Signatures: what each form of a function is read as, and what each wrong one is told.

Most functions are given as a line of source, as their authors write them.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import cv2
import pytest

from rtcstream import Image, Range, Session, SignatureError
from rtcstream.annotations import ResultSlot
from rtcstream.signature import Signature, read
from tests.waiting import named

NAMES: dict[str, Any] = {}
exec(
    """
import dataclasses, enum
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, TypedDict
import av, cv2, numpy as np
from numpy.typing import NDArray
from rtcstream import *

class Mode(enum.Enum):
    EDGES = 1

@dataclasses.dataclass
class Found:
    name: str

class Counted(TypedDict):
    count: int
""",
    NAMES,
)


def compiled(source: str, future: str = "") -> Any:
    """The function (or lambda) of one line of source."""
    if source.startswith("lambda"):
        return eval(source, NAMES)
    names = {**NAMES}
    exec(future + source, names)
    return names["f"]


def from_source(source: str) -> Signature:
    return read(compiled(source))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(image: Image) -> Image: ...", ("bgr24", "bgr24", False)),
        ("def f(image: RGBImage) -> RGBImage: ...", ("rgb24", "rgb24", False)),
        ("def f(image: RGBImage) -> Image: ...", ("rgb24", "bgr24", False)),
        ("def f(frame: av.VideoFrame) -> av.VideoFrame: ...", ("frame", "frame", False)),
        ("def f(frame: av.VideoFrame) -> Image | None: ...", ("frame", "bgr24", True)),
        ("def f(frame): return frame", ("bgr24", "bgr24", False)),
        ("lambda image: image", ("bgr24", "bgr24", False)),
        ("def f(image: Image): ...", ("bgr24", "bgr24", False)),
        ("def f(image: RGBImage): ...", ("rgb24", "rgb24", False)),
        ("def f(image: av.VideoFrame): ...", ("frame", "frame", False)),
        ("def f(image) -> RGBImage: ...", ("bgr24", "rgb24", False)),
        ("def f(image: Image) -> Image | None: ...", ("bgr24", "bgr24", True)),
        ("def f(image: Image) -> None | RGBImage: ...", ("bgr24", "rgb24", True)),
        ("def f(image: Image) -> None: ...", ("bgr24", None, False)),
        (
            "def f(image: Annotated[Image, Label('camera')]) -> Image: ...",
            ("bgr24",) * 2 + (False,),
        ),
        ("async def f(image: Image) -> Image: ...", ("bgr24", "bgr24", False)),
    ],
)
def test_pictures_in_and_out(source: str, expected: tuple[Any, ...]) -> None:
    """The image parameter and the return type say how the function sees its pictures."""
    found = from_source(source)
    assert (found.picture_in, found.out.picture, found.out.optional) == expected
    assert (found.out.results, found.controls, found.session_parameter) == ((), (), None)


@pytest.mark.parametrize(
    ("source", "out", "results"),
    [
        ("-> str", None, [(None, False)]),
        ("-> str | None", None, [(None, True)]),
        ("-> Annotated[float, Label('motion, %')]", None, [("motion, %", False)]),
        ("-> Annotated[float, Label('score')] | None", None, [("score", True)]),
        ("-> tuple[Image, int]", "bgr24", [(None, False)]),
        ("-> tuple[RGBImage | None, int]", "rgb24?", [(None, False)]),
        ("-> tuple[av.VideoFrame, str | None]", "frame", [(None, True)]),
        ("-> tuple[Image, list[Box]] | None", "bgr24?", [(None, False)]),
        ("-> tuple[Image, NDArray[np.float64]]", "bgr24", [(None, False)]),
        (
            "-> tuple[Image, Annotated[float, Label('a')], str, Annotated[int | None, Label('b')]]",
            "bgr24",
            [("a", False), (None, False), ("b", True)],
        ),
        *(
            (f"-> {each}", None, [(None, False)])
            for each in (
                *("int", "bool", "np.float32", "object", "Any", "Mode", "Literal['a', 'b']"),
                *("dict[str, Any]", "list[Any]", "list[dict[str, float]]", "tuple[int, ...]"),
                *("Box", "list[Box]", "Found", "Counted", "int | str"),
                *("tuple[float, float]", "list[tuple[str, Box]]", "tuple[()]", "list", "tuple"),
            )
        ),
    ],
)
def test_results(source: str, out: str | None, results: list[tuple[str | None, bool]]) -> None:
    """Whatever stands beside the image, or alone, is a result, named by its label."""
    found = from_source(f"def f(image: Image) {source}: ...")
    assert found.out.results == tuple(ResultSlot(*each) for each in results)
    assert found.out.picture == (None if out is None else out.removesuffix("?"))
    assert found.out.optional == (out is not None and out.endswith("?"))


def f_everything(
    session: Session,
    image: Image,
    mode: Literal["cartoon", "edges"] = "edges",
    strength: Annotated[int, Range(1, 20)] = 5,
    *,
    on: bool = False,
) -> Image | None:
    """A sentence."""
    return None


EVERYTHING = ("mode", "strength", "on")


def test_everything_at_once() -> None:
    """The image, the session and the controls may stand in any order."""
    found = read(f_everything)
    assert (found.kind, found.name, found.description) == (
        "function",
        "f_everything",
        "A sentence.",
    )
    assert (found.media_parameter, found.session_parameter) == ("image", "session")
    assert tuple(control.name for control in found.controls) == EVERYTHING
    assert not found.media_positional


@pytest.mark.parametrize(
    ("parameters", "image_positional"),
    [
        ("image: Image, session: Session, size: int = 1", True),
        ("image: Image, size: int = 1, session: Session = None", True),
        ("image: Image, /, size: int = 1, *, session: Session", True),
        ("session: Session, image: Image, size: int = 1", False),
        ("session: Session, *, size: int = 1, image: Image", False),
        ("*, image: Image, session: Session, size: int = 1", False),
        ("image, session: Session, size: int = 1", True),
    ],
)
def test_the_order_of_parameters(parameters: str, image_positional: bool) -> None:
    """The session is injected at any place; an image that is not first is given by name."""
    found = from_source(f"def f({parameters}) -> Image: ...")
    assert (found.media_parameter, found.session_parameter) == ("image", "session")
    assert [control.name for control in found.controls] == ["size"]
    assert found.media_positional == image_positional


def test_annotations_that_are_strings() -> None:
    """A function of a module with `from __future__ import annotations` reads the same."""
    source = (
        "def f(image: Image, size: Annotated[int, Range(1, 9)] = 3) -> tuple[Image, str]: ...",
        "from __future__ import annotations\n",
    )
    found, plain = read(compiled(*source)), read(compiled(source[0]))
    assert dataclasses.replace(found, target=plain.target) == plain


class Filter:
    """A filter.

    More about it.
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first

    def __call__(self, image: Image, size: int = 1) -> Image:
        return image

    async def method(self, image: Image) -> Image:
        return image

    @classmethod
    def of_class(cls, image: Image) -> Image:
        return image

    @staticmethod
    def static(image: Image) -> Image:
        return image


class Needy(Filter):
    """Cannot be built without arguments."""

    def __init__(self, model: str, size: int = 1) -> None:
        super().__init__()


class AsyncFilter(Filter):
    async def __call__(  # type: ignore[override]
        self, image: Image, size: int = 1, *, session: Session
    ) -> Image:
        return image


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("target", "kind", "name", "controls"),
    [
        (f_everything, "function", "f_everything", EVERYTHING),
        (decorated(f_everything), "function", "f_everything", EVERYTHING),
        (functools.partial(f_everything, on=True), "function", "f_everything", EVERYTHING),
        (Filter, "class", "Filter", ("size",)),
        (AsyncFilter, "class", "AsyncFilter", ("size",)),
        (functools.partial(Needy, "yolo"), "class", "Needy", ("size",)),
        (Filter(), "instance", "Filter", ("size",)),
        (Needy("yolo"), "instance", "Needy", ("size",)),
        (AsyncFilter(), "instance", "AsyncFilter", ("size",)),
        (Filter().method, "instance", "method", ()),
        (functools.partial(Filter().method), "instance", "method", ()),
        (Filter.of_class, "function", "of_class", ()),
        (Filter.static, "function", "static", ()),
    ],
)
def test_what_can_be_called(target: Any, kind: str, name: str, controls: tuple[str, ...]) -> None:
    """A function, a class, its instance, a bound method and a partial are each read as such."""
    found = read(target)
    assert (found.kind, found.name) == (kind, name)
    assert tuple(control.name for control in found.controls) == controls
    assert found.target is target


def test_what_a_partial_binds() -> None:
    """A value bound by name is the control's default, one bound by position is gone."""

    def blend(amount: float, image: Image, size: int = 1) -> Image:
        """Blends."""
        return image

    found = read(functools.partial(blend, 0.5, size=9))
    assert [(control.name, control.default) for control in found.controls] == [("size", 9)]
    assert (found.media_parameter, found.media_positional) == ("image", True)
    assert found.description == "Blends."


@pytest.mark.parametrize(
    ("parameters", "parameter", "sentence"),
    [
        # The image
        ("", None, "it takes no image and no sound; write a parameter like `image: Image`"),
        ("size: int = 1", None, "it takes no image and no sound; write a parameter like"),
        ("a: Image, b: Image", "b", "'a' is what it takes already; keep one, or give the Stream"),
        ("a: Image, b: av.VideoFrame", "b", "'a' is what it takes already; keep one, or give"),
        ("a: Image, b: Samples", "b", "two functions: Stream(video=f, audio=g)"),
        ("image: Image = None", "image", "it comes from the camera; drop its default"),
        ("samples: Samples = None", "samples", "it comes from the microphone; drop its default"),
        ("image: Image | None", "image", "it is always there; write it without `None`"),
        ("image: np.ndarray", "image", "an array could be anything; write `Image` (BGR), `RGB"),
        ("image: NDArray[np.uint8]", "image", "write `Image` (BGR), `RGBImage` or `Samples`"),
        ("chunk: AudioChunk", "chunk", "chunks are what a generator yields; take Samples"),
        ("samples: 'Annotated[Samples, Block(0)]'", None, "seconds must be from 0.005 to 60"),
        ("samples: 'Annotated[Samples, Rate(1)]'", None, "hz must be from 8000 to 192000"),
        ("samples: 'Annotated[Samples, Channels(6)]'", None, "count must be 1 or 2"),
        # Controls
        ("image, size: int", "size", "a control needs a default: its first value, after `=`"),
        (
            "image, size=5",
            "size",
            "it needs a type, which says what control it is: `size: int = 5`",
        ),
        ("image, tone='a'", "tone", "`tone: str = 'a'`"),
        ("image, size=None", "size", "Annotated[int, Range(1, 20)]"),
        ("image, size", "size", "it needs a type, which says what control it is"),
        ("image, x: list[int] = []", "x", "list[int] cannot be a control; write one of Literal["),
        ("image, x: bytes = b''", "x", "bytes cannot be a control; write one of Literal["),
        ("image, x: Session | None = None", "x", "cannot be a control; write one of Literal["),
        ("image, x: Annotated[int, Range(1, 9)] = 10", "x", "x must be from 1 to 9, not 10"),
        ("image, x: Annotated[str, Range(1, 9)] = ''", "x", "goes with int or float only"),
        ("image, x: int = 1, /", "x", "it is given by name, so it must not stand before `/`"),
        ("image, s: Session, /", "s", "it is given by name, so it must not stand before `/`"),
        ("image, a: Session, b: Session", "b", "'a' is the Session already; keep one"),
        ("image, a: Progress, b: Progress", "b", "'a' is the Progress already; keep one"),
        ("image, x: Live[int] = 1", "x", "a Live control has a Live default: `hz: Live[float]"),
        ("image, x: int = Live(1)", "x", "a Live control has a Live default"),
        ("image, *args: int", "args", "a control needs a name and a type; write them one by one"),
        ("image, **rest: int", "rest", "a control needs a name and a type; write them one by one"),
        # Annotations that cannot be read
        ("image: 'Picture'", None, "that its module does not have: name 'Picture'"),
        ("image: 'Image['", None, "its annotations cannot be read"),
        ("image: 'cv2.Picture'", None, "its annotations cannot be read"),
        ("image, x: 'Annotated[int, Range(9, 1)]' = 5", None, "must be less than maximum"),
    ],
)
def test_wrong_parameters(parameters: str, parameter: str | None, sentence: str) -> None:
    """A wrong parameter is an error that names the function, the parameter and what to write."""
    place = "f()" if parameter is None else f"f(), parameter {parameter!r}"
    check_error(f"def f({parameters}) -> Image: ...", parameter, place, sentence)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("-> tuple[Image]", "write `-> Image`, or `-> tuple[Image, T]` with results"),
        ("-> tuple[Image, ...]", "write `-> Image`, or `-> tuple[Image, T]` with results"),
        ("-> tuple[str, Image]", "the image or the sound comes first, and once: `-> tuple["),
        ("-> tuple[Image, Image]", "the image or the sound comes first, and once"),
        ("-> list[RGBImage]", "the image or the sound comes first, and once"),
        ("-> Image | str", "the image or the sound comes first, and once"),
        ("-> tuple[int, av.VideoFrame]", "the image or the sound comes first, and once"),
        ("-> np.ndarray", "an array could be anything; write `Image` (BGR), `RGBImage` or"),
        ("-> NDArray[np.uint8]", "an array could be anything; write `Image` (BGR)"),
        ("-> set[str]", "set[str] cannot be sent to a page; return Image, Samples, text, numbers"),
        ("-> tuple[Image, bytes]", "bytes cannot be sent to a page"),
        ("-> list[complex]", "complex cannot be sent to a page"),
        ("-> Samples", "a function of pictures returns no sound; yield it instead"),
        ("-> tuple[Image, Samples]", "a function of pictures returns no sound; yield it"),
        ("-> Annotated[Samples, Block(1.0)]", "Block is for what a function takes"),
        ("-> AudioChunk", "chunks are yielded: `-> Iterator[AudioChunk]`"),
        ("-> Iterator[Image]", "what yields takes no camera and no microphone; return, or"),
        ("-> AsyncIterator[int]", "what yields takes no camera and no microphone"),
        ("-> Iterator[Image] | None", "say what it yields: `-> Iterator[Image]`"),
        ("-> Iterator", "say what it yields: `-> Iterator[Image]`"),
        ("-> tuple[Image, Iterator[str]]", "an iterator must be all that is returned"),
        ("-> Image: yield image", "it yields, so write `-> Iterator[Image]`"),
        (": yield image", "it yields, so write `-> Iterator[Image]`"),
    ],
)
@pytest.mark.parametrize("definition", ["def", "async def"])
def test_wrong_returns(definition: str, source: str, sentence: str) -> None:
    """A wrong return type is an error that names the function and what to return."""
    body = "" if "yield" in source else ": ..."
    source = f"{definition} f(image: Image) {source}{body}"
    check_error(source, "return", "f(), what it returns", sentence)


def check_error(source: str, parameter: str | None, place: str, sentence: str) -> None:
    with pytest.raises(SignatureError) as caught:
        from_source(source)
    error = caught.value
    assert (error.function, error.parameter) == ("f", parameter)
    assert str(error).startswith(f"{place}: ")
    assert sentence in str(error)
    assert "\n" not in str(error)


class Uncallable:
    """Has no `__call__`."""


class Generator:
    def __call__(self, image: Image) -> Iterator[Image]:
        yield image


@pytest.mark.parametrize(
    ("target", "function", "sentence"),
    [
        (Uncallable, "Uncallable", "the class needs a method: `def __call__(self, image: Image)"),
        (Uncallable(), "Uncallable", "a Stream wraps a function, not Uncallable"),
        (None, "NoneType", "a Stream wraps a function, not NoneType"),
        ("app.py", "str", "a Stream wraps a function, not str"),
        (Needy, "Needy", "but needs 'model'; give that a default, or give the Stream an instance"),
        (Generator, "Generator", "what yields takes no camera and no microphone"),
        (Generator(), "Generator", "what yields takes no camera and no microphone"),
        (cv2.flip, "flip", "Python cannot see its parameters; wrap it in a `def` of your own"),
        (max, "max", "Python cannot see its parameters"),
    ],
    ids=named,
)
def test_what_cannot_be_called(target: Any, function: str, sentence: str) -> None:
    """What is no function, or cannot be built or seen into, is told what to give instead."""
    with pytest.raises(SignatureError) as caught:
        read(target)
    assert caught.value.function == function
    assert sentence in str(caught.value)
