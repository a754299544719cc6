"""Signatures: what each form of a function is read as.

Most functions are given as a line of source, as their authors write them.
"""

import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest

from rtcstream import Image, Range, Session
from rtcstream.annotations import ResultSlot
from rtcstream.signature import read
from tests.sources import compiled, from_source


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
        ("-> tuple[list[Box], str]", None, [(None, False)] * 2),
        ("-> tuple[float, float]", None, [(None, False)] * 2),
        ("-> tuple[list[Box], str | None] | None", None, [(None, False), (None, True)]),
        ("-> tuple[Annotated[str, Label('a')], Box]", None, [("a", False), (None, False)]),
        ("-> Annotated[tuple[float, float], Label('at')]", None, [("at", False)]),
        ("-> Annotated[float, Label('motion, %')]", None, [("motion, %", False)]),
        ("-> Annotated[float, Label('score')] | None", None, [("score", True)]),
        ("-> tuple[Image, int]", "bgr24", [(None, False)]),
        ("-> tuple[RGBImage | None, int]", "rgb24?", [(None, False)]),
        ("-> tuple[av.VideoFrame, str | None]", "frame", [(None, True)]),
        ("-> tuple[Image, list[Box]] | None", "bgr24?", [(None, False)]),
        ("-> tuple[Image, NDArray[np.float64]]", "bgr24", [(None, False)]),
        ("-> tuple[Image, np.ndarray]", "bgr24", [(None, False)]),
        ("-> tuple[Image, None]", "bgr24", [(None, True)]),
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
                *("Sequence[Box]", "Pair", "list[tuple[str, Box]]", "tuple[()]", "list", "tuple"),
                *("dict[str, np.ndarray]", "list[np.ndarray]", "dict[str, None]", "list[None]"),
            )
        ),
    ],
)
def test_results(source: str, out: str | None, results: list[tuple[str | None, bool]]) -> None:
    """Whatever stands beside the image, or alone, is a result, named by its label."""
    found = from_source(f"def f(image: Image) {source}: ...")
    assert found.out.results == tuple(ResultSlot(*each) for each in results)
    assert found.out.picture == (None if out is None else out.removesuffix("?"))
    assert found.out.optional == ((out or "").endswith("?") or source.endswith("None] | None"))


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


@pytest.mark.parametrize("of", [Iterator, typing.Iterator])
def test_what_yields_nothing(of: Any) -> None:
    """None is the same in `Iterator[None]` wherever the iterator is from: there is nothing to
    send."""

    def f() -> Any:
        yield

    f.__annotations__ = {"return": of[None]}
    out = read(f).out
    assert (out.generator, out.kinds, out.results) == (True, [], ())


def test_a_type_by_another_name() -> None:
    """What `type Photo = Image` makes is the type that it stands for, also within another."""
    extensions = pytest.importorskip("typing_extensions")
    name = extensions.TypeAliasType
    photo: Any = name("photo", Image)
    still: Any = name("still", photo)
    text: Any = extensions.TypeVar("text")
    pair: Any = name("pair", tuple[photo, text], type_params=(text,))
    size: Any = name("size", int)

    def f(image: Any, size: Any = 3) -> Any: ...

    for returned, results in ((photo, 0), (photo | None, 0), (pair[str], 1), (still, 0)):
        given = {"image": still, "size": Annotated[size, Range(1, 9)], "return": returned}
        f.__annotations__ = given
        found = read(f)
        assert (found.picture_in, found.out.picture) == ("bgr24", "bgr24")
        assert (len(found.out.results), found.controls[0].maximum) == (results, 9)


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
