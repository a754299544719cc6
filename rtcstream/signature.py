"""From a function's signature to what a stream takes, gives and can be told."""

import dataclasses
import enum
import functools
import inspect
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import av
import numpy as np

from . import controls
from .controls import Control, shown
from .errors import SignatureError
from .types import AudioFormat, Image, Label, PixelFormat, RGBImage, Session

Form: TypeAlias = Literal["bgr24", "rgb24", "frame"]
"""How a function sees a picture: as an array of these channels, or as the raw ``av.VideoFrame``."""
Kind: TypeAlias = Literal["function", "class", "instance"]

NOT_YET = "this version serves video functions only"


@dataclass(frozen=True)
class ResultSlot:
    """One thing beside the picture that a function returns; ``name`` is its ``Label``."""

    name: str | None
    optional: bool


@dataclass(frozen=True)
class Signature:
    """What one function takes and returns, found once when its ``Stream`` is built.

    ``target`` is what the user gave: a function, a class to build once per session, or an instance
    that all sessions share. ``image_out`` is None when no video goes back; ``results`` come after
    the image in a returned tuple, or alone.
    """

    target: Callable[..., Any]
    kind: Kind
    is_async: bool
    name: str
    description: str
    image_parameter: str
    image_positional: bool
    image_in: Form
    image_out: Form | None
    image_optional: bool
    results: tuple[ResultSlot, ...]
    controls: tuple[Control, ...]
    session_parameter: str | None


def read(target: Any) -> Signature:
    """Read the signature of a function, class or instance. Raises SignatureError."""
    return _Reader(target).read()


class _Reader:
    def __init__(self, target: Any) -> None:
        self.target = target
        inner = target.func if isinstance(target, functools.partial) else target
        self.inner = inner
        self.name = getattr(inner, "__name__", type(inner).__name__)
        self.kind: Kind = "function"
        self.function: Any = target
        if inspect.isclass(inner):
            self.kind = "class"
            self.function = self._call_of(inner)
            self._check_constructor(target)
        elif not callable(target):
            raise self.wrong(
                None,
                f"a Stream wraps a function, not {shown(type(target))}; "
                "write `Stream(my_function)`, without calling it",
            )
        elif not inspect.isroutine(inner):
            self.kind = "instance"
            self.function = target.__call__
        elif inspect.ismethod(inner) and not inspect.isclass(inner.__self__):
            self.kind = "instance"  # a bound method shares its object with all sessions just so

    def wrong(self, parameter: str | None, message: str) -> SignatureError:
        return SignatureError(self.name, parameter, message)

    def read(self) -> Signature:
        parameters = self._parameters()
        hints = self._hints()
        image: tuple[inspect.Parameter, Form] | None = None
        session: str | None = None
        found: list[Control] = []
        for parameter in parameters:
            hint = hints.get(parameter.name, parameter.empty)
            form = self._image_form(parameter, hint, first=parameter is parameters[0])
            if form is not None:
                if image is not None:
                    raise self.wrong(
                        parameter.name, f"{image[0].name!r} is the image already; keep one"
                    )
                image = parameter, form
            elif hint is Session:
                if session is not None:
                    raise self.wrong(
                        parameter.name, f"{session!r} is the session already; keep one"
                    )
                session = self._keyword(parameter).name
            else:
                found.append(self._control(self._keyword(parameter), hint))
        if image is None:
            raise self.wrong(
                None, f"it takes no image; write a parameter like `image: Image` ({NOT_YET})"
            )
        parameter, form = image
        positional = parameter is parameters[0] and parameter.kind is not parameter.KEYWORD_ONLY
        if not positional:
            self._keyword(parameter)
        out, optional, results = self._returns(hints.get("return", _SAME[form]))
        if inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise self.wrong("return", f"generators are not served yet: {NOT_YET}; return an Image")
        return Signature(
            target=self.target,
            kind=self.kind,
            is_async=inspect.iscoroutinefunction(self.function),
            name=self.name,
            description=inspect.getdoc(self.inner) or "",
            image_parameter=parameter.name,
            image_positional=positional,
            image_in=form,
            image_out=out,
            image_optional=optional,
            results=results,
            controls=tuple(found),
            session_parameter=session,
        )

    # The function and its parameters

    def _call_of(self, cls: type) -> Any:
        call = next((vars(c)["__call__"] for c in cls.__mro__ if "__call__" in vars(c)), None)
        if call is None:
            raise self.wrong(
                None, "the class needs a method: `def __call__(self, image: Image) -> Image`"
            )
        return call

    def _check_constructor(self, build: Callable[[], Any]) -> None:
        try:
            needed = [
                p.name
                for p in inspect.signature(build).parameters.values()
                if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            ]
        except ValueError:  # a class of C, without a signature to look at
            return
        if needed:
            raise self.wrong(
                None,
                f"it is built once for each session without arguments, but needs {needed[0]!r}; "
                "give that a default, or give the Stream an instance, which all sessions share",
            )

    def _parameters(self) -> list[inspect.Parameter]:
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except ValueError:
            raise self.wrong(
                None, "Python cannot see its parameters; wrap it in a `def` of your own"
            ) from None
        if self.kind == "class":
            parameters = parameters[1:]
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise self.wrong(
                    parameter.name, "a control needs a name and a type; write them one by one"
                )
        return parameters

    def _keyword(self, parameter: inspect.Parameter) -> inspect.Parameter:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise self.wrong(parameter.name, "it is given by name, so it must not stand before `/`")
        return parameter

    def _hints(self) -> dict[str, Any]:
        function = inspect.unwrap(getattr(self.function, "func", self.function))  # of a partial
        try:
            return typing.get_type_hints(function, include_extras=True)
        except NameError as error:
            raise self.wrong(
                None, f"an annotation names something that its module does not have: {error}"
            ) from None
        except (AttributeError, TypeError, ValueError, SyntaxError) as error:
            if not getattr(function, "__annotations__", None):
                return {}
            raise self.wrong(None, f"its annotations cannot be read: {error}") from None

    def _control(self, parameter: inspect.Parameter, hint: Any) -> Control:
        if hint is parameter.empty:
            raise self.wrong(
                parameter.name,
                "it needs a type, which says what control it is: "
                + (
                    f"`{parameter.name}: {type(parameter.default).__name__} = "
                    f"{parameter.default!r}`"
                    if isinstance(parameter.default, bool | int | float | str)
                    else controls.ACCEPTED
                ),
            )
        if parameter.default is parameter.empty:
            if not controls.known(hint):
                raise self.wrong(
                    parameter.name,
                    f"{shown(hint)} is neither an image nor a control; write `Image` for the "
                    f"camera's picture, or one of {controls.ACCEPTED}, with a default",
                )
            raise self.wrong(
                parameter.name, "a control needs a default: its first value, after `=`"
            )
        try:
            return controls.describe(parameter.name, hint, parameter.default)
        except ValueError as error:
            raise self.wrong(parameter.name, str(error)) from None

    # Media

    def _image_form(self, parameter: inspect.Parameter, hint: Any, first: bool) -> Form | None:
        if hint is parameter.empty:
            return "bgr24" if first and parameter.default is parameter.empty else None
        inner, optional = _optional(hint)
        form = self._form(parameter.name, inner)
        if form is not None and optional:
            raise self.wrong(parameter.name, "it is always there; write `Image` without `None`")
        if form is not None and parameter.default is not parameter.empty:
            raise self.wrong(parameter.name, "the image comes from the camera; drop its default")
        return form

    def _form(self, place: str, hint: Any) -> Form | None:
        """The picture that an annotation stands for; None when it stands for none."""
        if hint is av.VideoFrame:
            return "frame"
        if hint is av.AudioFrame or any(isinstance(m, AudioFormat) for m in _metadata(hint)):
            raise self.wrong(place, f"sound is not served yet: {NOT_YET}")
        formats = [m for m in _metadata(hint) if isinstance(m, PixelFormat)]
        if formats:
            return formats[-1].name
        base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        kind = get_origin(base) or base
        if isinstance(kind, type) and issubclass(kind, np.ndarray):
            raise self.wrong(
                place, "an array could be anything; write `Image` (BGR), or `RGBImage`"
            )
        return None

    def _returns(self, hint: Any) -> tuple[Form | None, bool, tuple[ResultSlot, ...]]:
        """What goes back: the image's form, whether it may be None, and the results."""
        if hint is type(None):
            return None, False, ()
        inner, optional = _optional(hint)
        if get_origin(inner) in _ITERATORS or get_origin(hint) in _ITERATORS:
            raise self.wrong("return", f"generators are not served yet: {NOT_YET}")
        form = self._form("return", inner)
        if form is not None:
            return form, optional, ()
        if get_origin(inner) is tuple:
            items = get_args(inner)
            first, first_optional = _optional(items[0]) if items else (None, False)
            form = self._form("return", first)
            if form is not None:
                if len(items) == 1 or Ellipsis in items:
                    raise self.wrong(
                        "return", "write `-> Image`, or `-> tuple[Image, T]` with results"
                    )
                slots = tuple(self._result(item) for item in items[1:])
                return form, first_optional or optional, slots
        return None, False, (self._result(hint),)

    def _result(self, hint: Any) -> ResultSlot:
        inner, optional = _optional(hint)
        labels = [m for m in (*_metadata(hint), *_metadata(inner)) if isinstance(m, Label)]
        self._check_result(inner)
        return ResultSlot(labels[-1].text if labels else None, optional)

    def _check_result(self, hint: Any) -> None:
        if isinstance(hint, tuple):
            raise self.wrong("return", "write `-> tuple[Image, str]`, not `-> (Image, str)`")
        marks = _metadata(hint)
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        if hint is av.VideoFrame or any(isinstance(m, PixelFormat) for m in marks):
            raise self.wrong("return", "the image comes first, and once: `-> tuple[Image, T]`")
        if hint is av.AudioFrame or any(isinstance(m, AudioFormat) for m in marks):
            raise self.wrong("return", f"sound is not served yet: {NOT_YET}")
        origin = get_origin(hint)
        if origin in (list, tuple, Union, types.UnionType):
            for argument in get_args(hint):
                if argument is not Ellipsis:
                    self._check_result(argument)
        elif origin is np.ndarray:
            return
        elif isinstance(origin or hint, type) and not _sendable(origin or hint):
            raise self.wrong(
                "return",
                f"{shown(hint)} cannot be sent to a page; return Image, text, numbers, lists, "
                "dicts, dataclasses or Box",
            )


_SAME: dict[Form, Any] = {"bgr24": Image, "rgb24": RGBImage, "frame": av.VideoFrame}
"""What a function without a return annotation is taken to return, by what it takes."""

_ITERATORS = (
    *(abc.Iterator, abc.Iterable, abc.Generator),
    *(abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator),
)


def _metadata(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _optional(hint: Any) -> tuple[Any, bool]:
    """``T | None`` as (T, True); anything else as it is."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = tuple(a for a in get_args(hint) if a is not type(None))
        if len(rest) == 1 and len(rest) < len(get_args(hint)):
            return rest[0], True
    return hint, False


def _sendable(kind: type) -> bool:
    return (
        kind in (object, Any, type(None))
        or issubclass(kind, str | int | float | list | tuple | np.generic | enum.Enum)
        or issubclass(kind, dict)
        or issubclass(kind, Mapping)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
    )
