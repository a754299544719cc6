"""Annotations in words: as their author wrote them, and what to write in place of a wrong one."""

import enum
import types
from collections import abc
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np

from .drawings import Box, Keypoints, Mask, Plot, Tag, Text
from .types import (
    AudioChunk,
    Image,
    Label,
    MaxSize,
    Progress,
    Range,
    RGBImage,
    Samples,
    Session,
    VideoChunk,
)

LONGEST = 120
"""Characters of an annotation that are shown."""

_ALIASES = {
    "Image": Image,
    "RGBImage": RGBImage,
    "Samples": Samples,
    "AudioChunk": AudioChunk,
    "VideoChunk": VideoChunk,
}
_OURS = (Box, Keypoints, Mask, Plot, Tag, Text)
_OPTIONS = {Range: "Range(1, 20)", Label: "Label('Words')", MaxSize: "MaxSize(1 << 20)"}
"""Those of a control, each with an example."""
_FOREIGN = {
    "PIL.Image.Image": "an array of it, `np.asarray(picture)`, as `RGBImage`",
    "torch.Tensor": "an array of it, `tensor.cpu().numpy()`",
}
"""What others have in place of arrays, and what to make of it."""


def shown(annotation: Any) -> str:
    """An annotation as its author wrote it, nearly."""
    text = _shown(annotation)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _shown(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _shown_with_options(hint)
    if hint is None or hint is types.NoneType:
        return "None"
    if hint is Ellipsis:
        return "..."
    if origin in (Union, types.UnionType):
        return " | ".join(map(_shown, arguments))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is np.ndarray or hint is np.ndarray:
        return "np.ndarray"
    if origin is not None and arguments:
        return f"{getattr(origin, '__name__', origin)}[{', '.join(map(_shown, arguments))}]"
    return _shown_class(hint) if isinstance(hint, type) else _shown_value(hint)


def _shown_with_options(hint: Any) -> str:
    base, *options = get_args(hint)
    for name, alias in _ALIASES.items():
        inner, *marks = get_args(alias)
        if base == inner and options[: len(marks)] == marks:
            base_name, options = name, options[len(marks) :]
            break
    else:
        base_name = _shown(base)
    return f"Annotated[{', '.join([base_name, *map(repr, options)])}]" if options else base_name


def _shown_class(kind: type) -> str:
    ours = kind.__module__.partition(".")[0] == "rtcstream"
    if not ours and kind.__name__ in {*_ALIASES, *(each.__name__ for each in _OURS)}:
        return f"{kind.__module__}.{kind.__qualname__}"  # another's Image
    return kind.__name__


def _shown_value(value: Any) -> str:
    match value:
        case list():
            return f"[{', '.join(map(_shown, value))}]"
        case tuple():
            return f"({', '.join(map(_shown, value))}{',' * (len(value) == 1)})"
        case set():
            return f"{{{', '.join(sorted(map(_shown, value)))}}}" if value else "set()"
        case dict():
            return f"{{{', '.join(f'{key!r}: {_shown(each)}' for key, each in value.items())}}}"
        case types.ModuleType():
            return f"the module {value.__name__}"
        case types.FunctionType() | types.BuiltinFunctionType():
            return f"the function {value.__name__}"
    return repr(value).replace("typing.", "")


def is_type(hint: Any) -> bool:
    """Whether it can be an annotation: a type, None, or what ``typing`` makes of types."""
    kinds = ("typing", "typing_extensions", "types")
    return hint is None or isinstance(hint, type) or type(hint).__module__ in kinds


def no_type(hint: Any, place: str = "{}", otherwise: str = "") -> str | None:
    """What to say of an annotation that is no type, or None of one that is.

    What is to be written instead stands in its ``place``, such as ``"-> {}"``; where that is hard
    to tell, it is what ``otherwise`` says, if anything.
    """
    if is_type(hint):
        return None
    if isinstance(hint, types.ModuleType) and hint.__name__.endswith("Image"):
        return f"{shown(hint)} is not a type; `from rtcstream import Image` has the one to write"
    instead = _instead(hint)
    return _not_a_type(hint, otherwise if instead is None else f"`{place.format(instead)}`")


def no_parameter(hint: Any, name: str, accepted: str) -> str | None:
    """The same of a parameter: one of media, or a control of the ``accepted`` types."""
    if is_type(hint):
        return None
    several = list(hint) if isinstance(hint, list | tuple | set) else []
    otherwise = f"`Image`, or one of {accepted}"
    for alias, media in _ALIASES.items():
        if media in several:
            return _not_a_type(hint, f"`{name}: {alias}`")
    if isinstance(hint, dict) or any(isinstance(each, type) for each in several):
        return _not_a_type(hint, otherwise)
    return no_type(hint, f"{name}: {{}}", otherwise)


def _not_a_type(hint: Any, instead: str) -> str:
    text = f"{shown(hint)} is not a type"
    return f"{text}; write {instead}" if instead else text


def _instead(value: Any) -> str | None:
    """The type that somebody had in mind who wrote this; None where it is hard to tell."""
    if isinstance(value, (int, float, str, enum.Enum, *_OURS)):
        return type(value).__name__
    match value:
        case Range() | range():
            return _slider(value)
        case set() if value:
            return _of_several(sorted(value, key=_shown), listed=False)
        case list() | tuple() if value:
            return _of_several(list(value), listed=isinstance(value, list))
        case dict() if value:
            kinds = {_instead_or_itself(each) for each in value.values()}
            inner = kinds.pop() if len(kinds) == 1 else None
            return f"dict[str, {'Any' if inner is None or inner in _ALIASES else inner}]"
    return None


def _slider(value: Range | range) -> str:
    low, high = (
        (value.start, value.stop) if isinstance(value, range) else (value.minimum, value.maximum)
    )
    whole = isinstance(low, int) and isinstance(high, int)
    return f"Annotated[{'int' if whole else 'float'}, Range({low}, {high})]"


def _of_several(values: list[Any], listed: bool) -> str | None:
    if all(isinstance(each, str | int | float) for each in values):
        return f"Literal[{', '.join(sorted(map(repr, values)))}]"
    inner = [_instead_or_itself(each) for each in values]
    known = sorted((each for each in inner if each is not None), key=lambda x: x not in _ALIASES)
    if len(known) < len(inner):
        return None
    if len(known) == 1:
        return f"list[{known[0]}]" if listed and known[0] not in _ALIASES else known[0]
    return f"tuple[{', '.join(known)}]"


def _instead_or_itself(value: Any) -> str | None:
    return _shown(value) if is_type(value) else _instead(value)


def lists_media(hint: Any) -> str | None:
    """The name of the media that this is a list of, as only a batched function takes them."""
    if get_origin(hint) in (list, abc.Sequence):
        for name, alias in _ALIASES.items():
            if get_args(hint)[:1] == (alias,):
                return name
    return None


def misplaced(hint: Any) -> str | None:
    """What to say of a parameter of a type that is ours, or well known, but none of a parameter."""
    if (name := lists_media(hint)) is not None:
        media = "pictures" if name.endswith("Image") else "sound"
        return (
            f"a list is of many sessions: decorate the function with `@batched`, which then gets "
            f"the {media} of all that are ready, or take one, `{name}`"
        )
    inner = next(iter(get_args(hint)), hint) if get_origin(hint) in (list, abc.Sequence) else hint
    if inner in _OURS:
        return f"{shown(hint)} is what a function returns: `-> tuple[Image, {shown(hint)}]`"
    for injected in (Session, Progress):
        if hint == injected | None:
            return f"it is always there: write `{injected.__name__}`, without `None`"
    if hint in (int | None, float | None, str | None, bool | None):
        kind = get_args(hint)[0].__name__
        return f"a control always has a value: write `{kind}`, and its first value after `=`"
    return foreign(hint)


def foreign(hint: Any) -> str | None:
    """What to say of a picture of another library's kind."""
    kind = get_origin(hint) or hint
    if isinstance(kind, type):
        name = f"{kind.__module__}.{kind.__qualname__}"
        if (instead := _FOREIGN.get(name)) is not None:
            return f"{name} is not known here; take and return {instead}"
    return None


def no_option(what: Any) -> str:
    """What to say of what stands in ``Annotated`` and is no option of a control."""
    said = f"{shown(what)} is not an option of a control; "
    match what:
        case str():
            return f"{said}write `Label({what!r})`"
        case (int() | float() as low, int() | float() as high):
            return f"{said}write `Range({low}, {high})`"
        case range():
            return f"{said}write `Range({what.start}, {what.stop})`"
        case type() if what in _OPTIONS:
            return f"{said}it has values: `{_OPTIONS[what]}`"
    return f"{said}there are Range, Label and MaxSize"
