"""Signatures that cannot be served: what their authors are told, when the Stream is built."""

from collections.abc import Iterator
from typing import Any

import cv2
import pytest

from rtcstream import Image, SignatureError
from rtcstream.signature import read
from tests.sources import compiled
from tests.waiting import named


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
        ("samples: 'Annotated[Samples, Block(0)]'", "samples", "seconds must be from 0.005 to 60"),
        ("samples: 'Annotated[Samples, Rate(1)]'", "samples", "hz must be from 8000 to 192000"),
        ("samples: 'Annotated[Samples, Channels(6)]'", "samples", "count must be 1 or 2"),
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
        ("image, x: Session | None = None", "x", "it is always there: write `Session`, without"),
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
        ("image, x: int | None = None", "x", "a control always has a value: write `int`"),
        ("image, x: Optional[str] = None", "x", "a control always has a value: write `str`"),
        ("image, x: int = None", "x", "its default does not fit: x must be a whole number"),
        ("image, x: File", "x", "a control needs a default: `File | None = None`"),
        ("image, x: Point = None", "x", "write `Point | None`, or `= Point(0.5, 0.5)`"),
        ("image, x: Point = (1, 2)", "x", "its default must be a Point, `Point(0.5, 0.5)`, not"),
        ("image, x: Annotated[int, Range] = 5", "x", "it has values: `Range(1, 20)`"),
        ("image, x: Annotated[int, (1, 20)] = 5", "x", "write `Range(1, 20)`"),
        ("image, x: Annotated[int, range(1, 20)] = 5", "x", "write `Range(1, 20)`"),
        ("image, x: Annotated[int, 'Words'] = 5", "x", "write `Label('Words')`"),
        ("image, x = Mode.EDGES", "x", "what control it is: `x: Mode = Mode.EDGES`"),
        ("image, x = Live(5.0)", "x", "what control it is: `x: Live[float] = Live(5.0)`"),
        ("image, session", "session", "`session: Session`"),
        ("image, box: Box", "box", "Box is what a function returns: `-> tuple[Image, Box]`"),
        ("image, boxes: list[Box] = []", "boxes", "`-> tuple[Image, list[Box]]`"),
        # No types
        ("image: [Image]", "image", "[Image] is not a type; write `image: Image`"),
        ("image: (Image, Box)", "image", "(Image, Box) is not a type; write `image: Image`"),
        ("image: cv2", "image", "the module cv2 is not a type; write `Image`, or one of Literal["),
        ("image: np.array", "image", "the function array is not a type; write `Image`, or one"),
        ("image, x: [int] = 5", "x", "[int] is not a type; write `Image`, or one of Literal["),
        ("image, x: 5 = 5", "x", "5 is not a type; write `x: int`"),
        ("image, x: Range(1, 20) = 5", "x", "write `x: Annotated[int, Range(1, 20)]`"),
        ("image, x: Range(0.5, 1) = 1.0", "x", "write `x: Annotated[float, Range(0.5, 1)]`"),
        ("image, x: range(1, 20) = 5", "x", "write `x: Annotated[int, Range(1, 20)]`"),
        ("image, x: ['a', 'b'] = 'a'", "x", "['a', 'b'] is not a type; write `x: Literal['a',"),
        ("image, x: {'a', 'b'} = 'a'", "x", "write `x: Literal['a', 'b']`"),
        # Lists, as only a batched function has them
        ("images: list[Image]", "images", "decorate the function with `@batched`"),
        ("images: Sequence[RGBImage]", "images", "or take one, `RGBImage`"),
        ("samples: list[Samples]", "samples", "the sound of all that are ready"),
        # What others have
        ("image: Picture", "image", "PIL.Image.Image is not known here; take and return an array"),
        # Options of something else
        (
            "image: Annotated[Image, Rate(16000)]",
            "image",
            "no option of it; there are Label(...)",
        ),
        ("samples: Annotated[Samples, Block]", "samples", "there are Block(...), Rate(...), Chan"),
        ("samples: Annotated[Samples, 16000]", "samples", "16000 is no option of it; there are"),
        # Annotations that cannot be read
        ("image: 'Foto'", "image", "that its module does not have: name 'Foto'"),
        ("image: 'Image['", "image", "its annotation 'Image[' cannot be read"),
        ("image: 'cv2.Picture'", "image", "its annotation 'cv2.Picture' cannot be read"),
        ("image, x: 'Annotated[int, Range(9, 1)]' = 5", "x", "must be less than maximum"),
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
        ("-> list[RGBImage]", "a function decorated with `@batched` returns"),
        ("-> [Image, Box]", "[Image, Box] is not a type; write `-> tuple[Image, Box]`"),
        ("-> [Box, Image]", "[Box, Image] is not a type; write `-> tuple[Image, Box]`"),
        ("-> (Image, Box)", "(Image, Box) is not a type; write `-> tuple[Image, Box]`"),
        ("-> [Image]", "[Image] is not a type; write `-> Image`"),
        ("-> [Box]", "[Box] is not a type; write `-> list[Box]`"),
        ("-> {'faces': [Box]}", "is not a type; write `-> dict[str, list[Box]]`"),
        ("-> tuple[Image, [Box]]", "[Box] is not a type; write `list[Box]`"),
        ("-> dict[str, [Box]]", "[Box] is not a type; write `list[Box]`"),
        ("-> Iterator[[Image, str]]", "write `-> Iterator[tuple[Image, str]]`"),
        ("-> Iterator[Image, str]", "write `-> Iterator[tuple[Image, str]]`"),
        ("-> Box(1, 2, 3, 4)", "is not a type; write `-> Box`"),
        ("-> Mode.EDGES", "is not a type; write `-> Mode`"),
        ("-> 5", "5 is not a type; write `-> int`"),
        ("-> cv2.imread", "the function imread is not a type; write `-> Image`, `-> tuple[Image"),
        ("-> Picture", "PIL.Image.Image is not known here; take and return an array of it, `np."),
        ("-> tuple[str]", "write `-> str`, or `-> tuple[T, ...]`"),
        ("-> dict[str, Image]", "the image or the sound comes first, and once"),
        ("-> dict[str, bytes]", "bytes cannot be sent to a page"),
        ("-> Annotated[float, Range(0, 1)]", "is for what a function takes, not for its results"),
        ("-> Annotated[str, 'words']", "is no name of a result; write `Label('words')`"),
        ("-> File", "a File is what a control takes; return `session.download(path)`"),
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
    """It is the same error in a module whose annotations are texts."""
    for future in ("", "from __future__ import annotations\n"):
        with pytest.raises(SignatureError) as caught:
            read(compiled(source, future))
        error = caught.value
        assert (error.function, error.parameter) == ("f", parameter)
        assert str(error).startswith(f"{place}: ")
        assert sentence in str(error) or (future and "'" in source)
        assert "\n" not in str(error) and len(str(error)) < 400


@pytest.mark.parametrize(
    ("signature", "parameter", "sentence"),
    [
        ("image: Image) -> Image", "image", "`Image` is of one session; write `image: list[Image]"),
        ("images: list[Image]) -> Image", "return", "of one session; write `-> list[Image]`"),
        ("images: list[Image]) -> [Image]", "return", "[Image] is not a type; write `-> list[I"),
        ("images: list[Image])", "return", "it says no type; write what a list has"),
        ("images) -> list[Image]", "images", "it says no type; write what a list has"),
        ("images: list[Image], x: float = 0.5) -> list[str]", "x", "Sequence[float] = (0.5,)`"),
        ("images: list[Image], x: Sequence[int] = 5) -> list[str]", "x", "not 5"),
        ("images: list[Image], x: Session) -> list[str]", "x", "write `x: list[Session]`"),
        ("images: np.ndarray) -> list[str]", "images", "an array could be anything; write"),
    ],
)
def test_wrong_batches(signature: str, parameter: str, sentence: str) -> None:
    """What of a batched function is no list is told which list to write."""
    with pytest.raises(SignatureError) as caught:
        read(compiled(f"@batched\ndef f({signature}: ..."))
    assert caught.value.parameter == parameter
    assert sentence in str(caught.value)


class Needy:
    """Cannot be built without arguments."""

    def __init__(self, model: str) -> None: ...

    def __call__(self, image: Image) -> Image:
        return image


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
