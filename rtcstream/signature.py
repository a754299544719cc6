"""From a function's signature to what a stream takes, gives and can be told."""

import enum
import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import av

from . import annotations, controls
from .annotations import Chunk, Form, Media, Output, Picture, Sound, Take, optional_of
from .batching import Batched, batch_of
from .controls import Control
from .errors import SignatureError
from .spelling import misplaced, no_parameter, shown
from .types import File, Image, Live, Point, Progress, RGBImage, Samples, Session

Kind: TypeAlias = Literal["function", "class", "instance"]

_SAME: dict[Any, Any] = {
    Picture("bgr24"): Image,
    Picture("rgb24"): RGBImage,
    Picture("frame"): av.VideoFrame,
    Sound(raw=True): av.AudioFrame,
}
"""What a function without a return annotation is taken to return, by what it takes."""


@dataclass(frozen=True)
class Signature:
    """What one function takes and returns, found once when its ``Stream`` is built.

    ``target`` is what the user gave: a function, a class to build once per session, or an instance
    that all sessions share. It takes a picture, or sound, or neither (a generator), as its
    ``media_parameter``.
    """

    target: Callable[..., Any]
    kind: Kind
    name: str
    description: str
    media_parameter: str | None
    media_positional: bool
    picture_in: Form | None
    sound_in: Sound | None
    take_in: Take | None
    out: Output
    controls: tuple[Control, ...]
    session_parameter: str | None
    progress_parameter: str | None
    constructor_progress: str | None = None
    """The class's parameter that is told how far it is built."""

    @property
    def inputs(self) -> list[str]:
        """The kinds of media that it takes, as in ``stream.json``."""
        take = self.take_in
        sees = self.picture_in is not None or (take is not None and take.video)
        return ["video"] * sees + ["audio"] * (self.sound_in is not None or take is not None)


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
        self.constructor_progress: str | None = None
        self.function: Any = target
        if (batch := batch_of(inner)) is not None:
            self.function = batch  # which all sessions share, at the same time
        elif inspect.isclass(inner):
            self.kind = "class"
            self.function = self._call_of(inner)
            if isinstance(self.function, Batched):
                raise self.wrong(
                    None,
                    "what is batched is one for all sessions: give the Stream an instance, "
                    f"`Stream({self.name}())`",
                )
            self._check_constructor(target)
        elif not callable(target):
            raise self.wrong(
                None,
                f"a Stream wraps a function, not {type(target).__name__}; "
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
        taken: tuple[inspect.Parameter, Media] | None = None
        injected: dict[Any, str] = {}
        found: list[Control] = []
        for parameter in parameters:
            hint = hints.get(parameter.name, parameter.empty)
            media = self._media(parameter, hint, first=parameter is parameters[0])
            if media is not None:
                if taken is not None:
                    raise self.wrong(
                        parameter.name,
                        f"{taken[0].name!r} is what it takes already; keep one, or give the Stream "
                        "two functions: Stream(video=f, audio=g)",
                    )
                taken = parameter, media
            elif hint in (Session, Progress):
                if hint in injected:
                    raise self.wrong(
                        parameter.name,
                        f"{injected[hint]!r} is the {hint.__name__} already; keep one",
                    )
                injected[hint] = self._keyword(parameter).name
            else:
                found.append(self._control(self._keyword(parameter), hint))
        out = self._out(hints, taken[1] if taken else None)
        positional, name, media = False, None, None
        if taken is not None:
            parameter, media = taken
            name = parameter.name
            positional = parameter is parameters[0] and parameter.kind != parameter.KEYWORD_ONLY
            if not positional:
                self._keyword(parameter)
        return Signature(
            target=self.target,
            kind=self.kind,
            name=self.name,
            description=inspect.getdoc(self.inner) or "",
            media_parameter=name,
            media_positional=positional,
            picture_in=media.form if isinstance(media, Picture) else None,
            sound_in=media if isinstance(media, Sound) else None,
            take_in=media if isinstance(media, Take) else None,
            out=out,
            controls=tuple(found),
            session_parameter=injected.get(Session),
            progress_parameter=injected.get(Progress),
            constructor_progress=self.constructor_progress,
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
        for name in needed:
            if self._constructor_hints().get(name) != Progress or self.constructor_progress:
                raise self.wrong(
                    None,
                    "it is built once for each session, with a Progress at most, but needs "
                    f"{name!r}; give that a default, or give the Stream an instance, which all "
                    "sessions share",
                )
            self.constructor_progress = name

    def _constructor_hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self.inner.__init__)
        except (AttributeError, NameError, TypeError):
            return {}

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
        return annotations.hints_of(function, self.name)

    def _control(self, parameter: inspect.Parameter, hint: Any) -> Control:
        if hint is parameter.empty:
            raise self.wrong(
                parameter.name,
                "it needs a type, which says what control it is: " + _with_type(parameter),
            )
        if wrong := misplaced(hint):
            raise self.wrong(parameter.name, wrong)
        if parameter.default is parameter.empty:
            if not controls.known(hint):
                raise self.wrong(
                    parameter.name,
                    f"{shown(hint)} is neither an image nor a control; write `Image` for the "
                    f"camera's picture, or one of {controls.ACCEPTED}, with a default",
                )
            example = "`File | None = None`" if hint is File else "its first value, after `=`"
            raise self.wrong(parameter.name, f"a control needs a default: {example}")
        try:
            return controls.describe(parameter.name, hint, parameter.default)
        except ValueError as error:
            raise self.wrong(parameter.name, str(error)) from None

    # Media

    def _media(self, parameter: inspect.Parameter, hint: Any, first: bool) -> Media | None:
        if hint is parameter.empty:
            plain = first and parameter.default is parameter.empty
            return Picture("bgr24") if plain else None
        if wrong := no_parameter(hint, parameter.name, controls.ACCEPTED):
            raise self.wrong(parameter.name, wrong)
        inner, optional = optional_of(hint)
        try:
            found = annotations.media(inner)
        except ValueError as error:
            raise self.wrong(parameter.name, str(error)) from None
        if found is None:
            return None
        if optional:
            raise self.wrong(parameter.name, "it is always there; write it without `None`")
        if parameter.default is not parameter.empty:
            what = "camera" if isinstance(found, Picture) else "microphone"
            raise self.wrong(parameter.name, f"it comes from the {what}; drop its default")
        if isinstance(found, Chunk):
            raise self.wrong(parameter.name, "chunks are what a generator yields; take Samples")
        return found

    def _out(self, hints: dict[str, Any], media: Media | None) -> Output:
        same = Samples if isinstance(media, Sound) and not media.raw else _SAME.get(media)
        hint = hints.get("return", same)
        yields = inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(
            self.function
        )
        if hint is None and "return" not in hints:
            raise self.wrong(
                None,
                "it takes no image and no sound; write a parameter like `image: Image`, or let it "
                "yield: `-> Iterator[Image]`",
            )
        try:
            out = annotations.output(hint)
        except ValueError as error:
            raise self.wrong("return", str(error)) from None
        if yields and not out.generator:
            raise self.wrong("return", f"it yields, so write `-> Iterator[{shown(hint)}]`")
        if out.generator and media is not None and not isinstance(media, Take):
            raise self.wrong(
                "return", "what yields takes no camera and no microphone; return, or take neither"
            )
        if media is None and not out.generator:
            raise self.wrong(
                None,
                "it takes no image and no sound; write a parameter like `image: Image`, or let it "
                "yield: `-> Iterator[Image]`",
            )
        if out.chunk is not None and not out.generator:
            raise self.wrong("return", "chunks are yielded: `-> Iterator[AudioChunk]`")
        if isinstance(media, Picture) and out.sound is not None:
            raise self.wrong("return", "a function of pictures returns no sound; yield it instead")
        if isinstance(media, Sound) and out.picture is not None:
            raise self.wrong("return", "a function of sound returns no image; return results of it")
        return out


def _with_type(parameter: inspect.Parameter) -> str:
    """How a parameter without an annotation could be written."""
    name, default = parameter.name, parameter.default
    for injected in (Session, Progress):
        if name == injected.__name__.lower() and default is parameter.empty:
            return f"`{name}: {injected.__name__}`"
    if isinstance(default, enum.Enum):
        return f"`{name}: {type(default).__name__} = {default}`"
    if isinstance(default, Live):
        return f"`{name}: Live[{type(default.value).__name__}] = {default!r}`"
    if isinstance(default, bool | int | float | str | Point):
        return f"`{name}: {type(default).__name__} = {default!r}`"
    return controls.ACCEPTED
