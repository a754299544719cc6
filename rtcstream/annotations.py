"""What one annotation stands for: a picture, sound, chunks, results, or all that is returned."""

import dataclasses
import enum
import types
import typing
from collections import abc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import av
import numpy as np

from .controls import shown
from .errors import SignatureError
from .takes import Recording, Utterance, VideoRecording
from .types import (
    AudioFormat,
    Block,
    Channels,
    ChunkFormat,
    Label,
    Limit,
    PixelFormat,
    Rate,
    Turn,
)

Form: TypeAlias = Literal["bgr24", "rgb24", "frame"]
"""How a function sees a picture: as an array of these channels, or as the raw ``av.VideoFrame``."""

SAMPLE_RATE = 48_000


@dataclass(frozen=True)
class Picture:
    """Video, in one form."""

    form: Form


@dataclass(frozen=True)
class Sound:
    """Audio: blocks of ``seconds`` (None: as they come) at ``rate`` (None: as what came in), or
    the ``raw`` ``av.AudioFrame``. ``rated``: a tuple of its rate and samples is returned."""

    seconds: float | None = None
    rate: int | None = None
    channels: int | None = None
    raw: bool = False
    rated: bool = False


@dataclass(frozen=True)
class Chunk:
    """Encoded pieces of a track."""

    kind: Literal["audio", "video"]


@dataclass(frozen=True)
class Take:
    """Media taken as a whole: a recording of at most ``seconds``, with ``video`` or of sound alone,
    or a ``turn`` of speech."""

    seconds: float = 60.0
    video: bool = False
    turn: Turn | None = None


Media: TypeAlias = Picture | Sound | Chunk | Take


@dataclass(frozen=True)
class ResultSlot:
    """One thing beside the media that a function returns; ``name`` is its ``Label``."""

    name: str | None
    optional: bool


@dataclass(frozen=True)
class Output:
    """What a function returns, or each thing that a ``generator`` yields.

    The media come first (picture, then sound, or a chunk), then the results: alone, or in a tuple
    when there is more than one. ``optional`` media may be None: nothing new.
    """

    picture: Form | None = None
    sound: Sound | None = None
    chunk: Chunk | None = None
    optional: bool = False
    results: tuple[ResultSlot, ...] = ()
    generator: bool = False

    @property
    def kinds(self) -> list[str]:
        """The kinds of media that go back, as in ``stream.json``."""
        video = self.picture is not None or (self.chunk is not None and self.chunk.kind == "video")
        return ["video"] * video + ["audio"] * (self.sound is not None or self.chunk is not None)


def media(hint: Any) -> Media | None:
    """The media that an annotation stands for; None when it stands for none.

    Raises ValueError for arrays that say nothing of what they are.
    """
    if hint is av.VideoFrame:
        return Picture("frame")
    if hint is av.AudioFrame:
        return Sound(raw=True)
    marks = metadata(hint)
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if base is Recording or base is VideoRecording:
        limit = _last(marks, Limit)
        return Take(limit.seconds if limit else 60.0, video=base is VideoRecording)
    if base is Utterance:
        return Take(turn=_last(marks, Turn) or Turn())
    for mark in reversed(marks):
        if isinstance(mark, PixelFormat):
            return Picture(mark.name)
        if isinstance(mark, ChunkFormat):
            return Chunk(mark.kind)
    if any(isinstance(mark, AudioFormat) for mark in marks):
        block, rate, channels = (_last(marks, kind) for kind in (Block, Rate, Channels))
        return Sound(
            block.seconds if block else None,
            rate.hz if rate else None,
            channels.count if channels else None,
        )
    if _is_array(base):
        raise ValueError("an array could be anything; write `Image` (BGR), `RGBImage` or `Samples`")
    return None


def _is_array(hint: Any) -> bool:
    """Whether it is an array that says nothing of what it is."""
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, np.ndarray)


def output(hint: Any) -> Output:
    """What a return annotation promises. Raises ValueError with what to write instead."""
    inner, optional = optional_of(hint)
    if get_origin(inner) in _ITERATORS or inner in _ITERATORS:
        if optional or not get_args(inner):
            raise ValueError("say what it yields: `-> Iterator[Image]`")
        return dataclasses.replace(_item(get_args(inner)[0]), generator=True)
    return _item(hint)


def _item(hint: Any) -> Output:
    if hint is type(None):
        return Output()
    inner, optional = optional_of(hint)
    rated = _rated(inner)
    found = rated or media(inner)
    if found is not None:
        return _with(Output(optional=optional), found)
    if get_origin(inner) is tuple and get_args(inner):
        items = get_args(inner)
        first, first_optional = optional_of(items[0])
        found = _rated(first) or media(first)
        if found is not None:
            if len(items) == 1 or Ellipsis in items:
                raise ValueError("write `-> Image`, or `-> tuple[Image, T]` with results")
            out = _with(Output(optional=optional or first_optional), found)
            rest = items[1:]
            sound = _rated(rest[0]) or (None if _is_array(rest[0]) else media(rest[0]))
            if isinstance(found, Picture) and isinstance(sound, Sound):
                out, rest = _with(out, sound), rest[1:]
            return dataclasses.replace(out, results=tuple(_result(item) for item in rest))
    return Output(results=(_result(hint),))


def _with(out: Output, found: Media) -> Output:
    if isinstance(found, Picture):
        return dataclasses.replace(out, picture=found.form)
    if isinstance(found, Chunk):
        return dataclasses.replace(out, chunk=found)
    if isinstance(found, Take):
        raise ValueError("a recording is what a function takes; it returns Samples")
    if found.seconds is not None:
        raise ValueError("Block is for what a function takes; what it returns has any length")
    return dataclasses.replace(out, sound=found)


def _rated(hint: Any) -> Sound | None:
    """``tuple[int, Samples]``: the rate and the samples."""
    items = get_args(hint)
    if get_origin(hint) is tuple and len(items) == 2 and items[0] is int:
        found = media(items[1])
        if isinstance(found, Sound) and not found.raw:
            return dataclasses.replace(found, rated=True)
    return None


def _result(hint: Any) -> ResultSlot:
    inner, optional = optional_of(hint)
    label = _last((*metadata(hint), *metadata(inner)), Label)
    _check_result(inner)
    if label is not None and metadata(hint):  # Annotated[T | None, Label("words")]
        optional = optional or optional_of(get_args(hint)[0])[1]
    return ResultSlot(label.text if label else None, optional)


def _check_result(hint: Any) -> None:
    if isinstance(hint, tuple):
        raise ValueError("write `-> tuple[Image, str]`, not `-> (Image, str)`")
    marks = metadata(hint)
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if hint in (av.VideoFrame, av.AudioFrame) or any(isinstance(m, _MEDIA_MARKS) for m in marks):
        raise ValueError("the image or the sound comes first, and once: `-> tuple[Image, T]`")
    origin = get_origin(hint)
    if origin in _ITERATORS:
        raise ValueError("an iterator must be all that is returned: `-> Iterator[tuple[Image, T]]`")
    if origin in (list, tuple, Union, types.UnionType):
        for argument in get_args(hint):
            if argument is not Ellipsis:
                _check_result(argument)
    elif origin is np.ndarray or origin is Literal:
        return
    elif isinstance(origin or hint, type) and not _sendable(origin or hint):
        raise ValueError(
            f"{shown(hint)} cannot be sent to a page; return Image, Samples, text, numbers, lists, "
            "dicts, dataclasses, Box or Mask"
        )


_MEDIA_MARKS = (PixelFormat, AudioFormat, ChunkFormat)

_ITERATORS = (
    *(abc.Iterator, abc.Iterable, abc.Generator),
    *(abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator),
)


def hints_of(function: Any, name: str) -> dict[str, Any]:
    """The annotations of a function, which errors call by this name; none of what cannot have any.
    Raises SignatureError."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        text = f"an annotation names something that its module does not have: {error}"
        raise SignatureError(name, None, text) from None
    except (AttributeError, TypeError, ValueError, SyntaxError) as error:
        if not getattr(function, "__annotations__", None):
            return {}
        raise SignatureError(name, None, f"its annotations cannot be read: {error}") from None


def metadata(hint: Any) -> tuple[Any, ...]:
    """What stands in ``Annotated`` behind the type."""
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def optional_of(hint: Any) -> tuple[Any, bool]:
    """``T | None`` as (T, True); anything else as it is."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = tuple(a for a in get_args(hint) if a is not type(None))
        if len(rest) == 1 and len(rest) < len(get_args(hint)):
            return rest[0], True
    return hint, False


def _last(marks: Iterable[Any], kind: type) -> Any:
    found = [mark for mark in marks if isinstance(mark, kind)]
    return found[-1] if found else None


def _sendable(kind: type) -> bool:
    return (
        kind in (object, Any, type(None))
        or issubclass(kind, str | int | float | list | tuple | np.generic | enum.Enum)
        or issubclass(kind, Mapping)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
    )
