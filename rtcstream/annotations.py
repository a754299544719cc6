"""What one annotation stands for: a picture, sound, chunks, results, or all that is returned."""

import dataclasses
import enum
import functools
import operator
import types
import typing
from collections import abc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import av
import numpy as np

from .errors import SignatureError
from .spelling import foreign, lists_media, no_type, shown
from .takes import Recording, Utterance, VideoRecording
from .types import (
    AudioFormat,
    Block,
    Channels,
    ChunkFormat,
    File,
    Label,
    Limit,
    MaxSize,
    PixelFormat,
    Range,
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
    when there is more than one. It may be None where it is ``optional``: nothing new.
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
        _check_options(hint, marks, Limit)
        limit = _last(marks, Limit)
        return Take(limit.seconds if limit else 60.0, video=base is VideoRecording)
    if base is Utterance:
        _check_options(hint, marks, Turn)
        return Take(turn=_last(marks, Turn) or Turn())
    for mark in reversed(marks):
        if isinstance(mark, PixelFormat):
            _check_options(hint, marks)
            return Picture(mark.name)
        if isinstance(mark, ChunkFormat):
            _check_options(hint, marks)
            return Chunk(mark.kind)
    if any(isinstance(mark, AudioFormat) for mark in marks):
        _check_options(hint, marks, Block, Rate, Channels)
        block, rate, channels = (_last(marks, kind) for kind in (Block, Rate, Channels))
        return Sound(
            block.seconds if block else None,
            rate.hz if rate else None,
            channels.count if channels else None,
        )
    if _is_array(base):
        raise ValueError("an array could be anything; write `Image` (BGR), `RGBImage` or `Samples`")
    return None


def _check_options(hint: Any, marks: tuple[Any, ...], *options: type) -> None:
    """Raises ValueError for what stands in ``Annotated`` and is none of these options, but is one
    of ours, or might have been meant as one; what is of another library is not for us."""
    for mark in marks:
        kind = mark if isinstance(mark, type) else type(mark)
        ours = issubclass(kind, _PARAMETERS_MARKS) and not isinstance(mark, options)
        if ours or isinstance(mark, int | float | str):
            names = ", ".join(f"{each.__name__}(...)" for each in (*options, Label))
            raise ValueError(f"{shown(mark)} is no option of it; there are {names}: {shown(hint)}")


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
        item, *more = get_args(inner)
        if more and get_origin(inner) not in _GENERATORS:
            raise ValueError(f"write `-> Iterator[tuple[{', '.join(map(shown, (item, *more)))}]]`")
        if wrong := no_type(item, "-> Iterator[{}]", _RETURNED):
            raise ValueError(wrong)
        return dataclasses.replace(_item(item), generator=True)
    if wrong := no_type(hint, "-> {}", _RETURNED):
        raise ValueError(wrong)
    return _item(hint)


def _item(hint: Any) -> Output:
    if hint in _NOTHING:
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
        if Ellipsis not in items:
            if len(items) == 1:
                raise ValueError(f"write `-> {shown(items[0])}`, or `-> tuple[T, ...]`")
            return Output(optional=optional, results=tuple(_result(item) for item in items))
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
    return ResultSlot(label.text if label else None, optional or inner in _NOTHING)


def _check_result(hint: Any) -> None:
    if wrong := no_type(hint) or foreign(hint):
        raise ValueError(wrong)
    if name := lists_media(hint):
        raise ValueError(
            f"the image or the sound comes first, and once: `-> {name}`; a list of them is what "
            "a function decorated with `@batched` returns"
        )
    marks = metadata(hint)
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if hint in (av.VideoFrame, av.AudioFrame) or any(isinstance(m, _MEDIA_MARKS) for m in marks):
        raise ValueError("the image or the sound comes first, and once: `-> tuple[Image, T]`")
    for mark in marks:
        if isinstance(mark, _PARAMETERS_MARKS):
            raise ValueError(f"{mark!r} is for what a function takes, not for its results")
        if isinstance(mark, str):
            raise ValueError(f"{mark!r} is no name of a result; write `Label({mark!r})`")
    if hint is File:
        raise ValueError("a File is what a control takes; return `session.download(path)`")
    origin = get_origin(hint)
    if origin in _ITERATORS:
        raise ValueError("an iterator must be all that is returned: `-> Iterator[tuple[Image, T]]`")
    if origin in (list, tuple, abc.Sequence, Union, types.UnionType) or _is_mapping(origin):
        for argument in get_args(hint):
            if argument is not Ellipsis:
                _check_result(argument)
    elif origin is np.ndarray or hint is np.ndarray or origin is Literal:
        return
    elif isinstance(origin or hint, type) and not _sendable(origin or hint):
        raise ValueError(
            f"{shown(hint)} cannot be sent to a page; return Image, Samples, text, numbers, lists, "
            "dicts, dataclasses, Box or Mask"
        )


_RETURNED = "`-> Image`, `-> tuple[Image, T]` with results, or `-> T`"

_MEDIA_MARKS = (PixelFormat, AudioFormat, ChunkFormat)
_PARAMETERS_MARKS = (Range, MaxSize, Block, Rate, Channels, Limit, Turn)
_GENERATORS = (abc.Generator, abc.AsyncGenerator)
_NOTHING = (None, types.NoneType)
"""None as it stands in ``collections.abc``'s and builtin generics, and as ``typing`` has it."""

_ITERATORS = (
    *(abc.Iterator, abc.Iterable, abc.Generator),
    *(abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator),
)


def hints_of(function: Any, name: str) -> dict[str, Any]:
    """The annotations of a function, which errors call by this name; none of what cannot have any.
    Raises SignatureError."""
    try:
        found = typing.get_type_hints(function, include_extras=True)
    except (AttributeError, TypeError, ValueError, SyntaxError, NameError):
        found = _hints_one_by_one(function, name)
    return {place: _meant(hint) for place, hint in found.items()}


def _meant(hint: Any) -> Any:
    """Of `type Photo = Image` (PEP 695) the type, also within another: `Iterator[Photo]`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if type(hint).__name__ == "TypeAliasType":
        return _meant(hint.__value__)
    if type(origin).__name__ == "TypeAliasType":
        return _meant(origin.__value__[arguments])
    meant = tuple(map(_meant, arguments))
    if all(one is other for one, other in zip(meant, arguments, strict=True)):
        return hint
    if origin is types.UnionType:
        return functools.reduce(operator.or_, meant)
    return origin[meant]


def _hints_one_by_one(function: Any, name: str) -> dict[str, Any]:
    """The same where one cannot be read, which a SignatureError says."""
    try:
        given = getattr(function, "__annotations__", None) or {}
    except NameError as error:  # Python 3.14 looks them up when they are asked for
        text = f"an annotation names something that its module does not have: {error}"
        raise SignatureError(name, None, text) from None
    return {place: _hint_of(function, name, place, hint) for place, hint in given.items()}


def _hint_of(function: Any, name: str, place: str, given: Any) -> Any:
    """One annotation. Raises SignatureError when it cannot be read."""
    known = getattr(function, "__globals__", {})
    alone = types.SimpleNamespace(__annotations__={place: given})
    try:
        return typing.get_type_hints(alone, known, include_extras=True)[place]
    except NameError as error:
        text = (
            f"its annotation names something that its module does not have: {error}; import it "
            "there, where Python sees it when it runs"
        )
        raise SignatureError(name, place, text) from None
    except (AttributeError, TypeError, ValueError, SyntaxError) as error:
        if not isinstance(given, str):
            raise SignatureError(name, place, f"its annotation cannot be read: {error}") from None
    try:
        # A text that stands for no type, such as "[Image, Box]", which is said better elsewhere.
        return eval(given, known)
    except Exception as error:
        text = f"its annotation {given!r} cannot be read: {error}"
        raise SignatureError(name, place, text) from None


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


def _is_mapping(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Mapping)


def _sendable(kind: type) -> bool:
    return (
        kind in (object, Any, type(None), abc.Sequence)
        or issubclass(kind, str | int | float | list | tuple | np.generic | enum.Enum)
        or issubclass(kind, Mapping)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
    )
