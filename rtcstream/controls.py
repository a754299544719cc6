"""One control: describe it, parse a value for it; and a session's current values.

``describe`` is the one table from types to controls: nothing else knows what an ``int`` becomes.
"""

import enum
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

from .errors import ControlError
from .spelling import no_option, shown
from .types import File, Label, Live, MaxSize, Point, Range
from .wording import bound, cut, told

MAX_TEXT = 10_000
"""The longest text that a control takes, in characters."""
MAX_FILE = 100 << 20
"""Bytes of a file, where nothing else is said."""
MAX_VALUES = 60_000
"""All values together, in bytes of JSON: their acknowledgement is one message."""
MAX_INTEGER = 2**53 - 1
"""Beyond this a JSON number is no longer exact everywhere (RFC 8259 section 6)."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")


EnumType: TypeAlias = type[enum.Enum]
ControlType: TypeAlias = Literal[
    "choice", "integer", "number", "boolean", "string", "point", "file"
]


@dataclass(frozen=True)
class Control:
    """A parameter that the page can change while the function runs.

    ``parse`` takes a JSON value to the function's own (an ``Enum`` member, say), ``parse_query``
    the text of a query string; both raise ControlError. ``to_json`` goes back.
    """

    name: str
    label: str
    type: ControlType
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str | int | float, ...] | None = None
    members: EnumType | None = None
    live: bool = False
    optional: bool = False
    """Whether it may have no value, which is None and null."""

    def parse(self, value: Any) -> Any:
        if value is None and self.optional:
            return None
        return _PARSERS[self.type](self, value)

    def parse_query(self, text: str) -> Any:
        value: Any = text
        if self.type == "boolean":
            value = {"true": True, "false": False}.get(text, text)
        elif self.type == "integer" and _INTEGER.fullmatch(text):
            value = int(text)
        elif self.type == "number" and _NUMBER.fullmatch(text):
            value = float(text)
        elif self.choices:
            value = next((choice for choice in self.choices if str(choice) == text), text)
        elif self.type == "point":
            value = _point_of(text)
        elif self.type == "file" and not text:  # all that a query can say of one
            value = None
        return self.parse(value)

    def to_json(self, value: Any) -> Any:
        if isinstance(value, Point):
            return {"x": value.x, "y": value.y}
        if isinstance(value, File):
            return {"name": value.name, "size": value.size}
        return value.name if isinstance(value, enum.Enum) else value

    def pack(self, value: Any) -> Any:
        """A value in JSON for a process of our own, which ``unpack`` takes; no visitor's does."""
        if isinstance(value, File):
            return [str(value.path), value.name, value.size]
        return self.to_json(value)

    def unpack(self, data: Any) -> Any:
        if self.type == "file" and data is not None:
            path, name, size = data
            return File(Path(path), name, size)
        return self.parse(data)

    def describe(self) -> dict[str, Any]:
        """The control's entry in ``stream.json``."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "default": self.to_json(self.default),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "step": self.step,
            "choices": None if self.choices is None else list(self.choices),
        }

    def reject(self, value: Any, wanted: str) -> ControlError:
        return ControlError(self.name, f"{self.name} must be {wanted}, not {told(value)}")


def _point_of(text: str) -> Any:
    """``0.25,0.75`` as a Point's JSON, nothing as None; any other text as it is."""
    parts = text.split(",")
    if len(parts) == 2 and all(map(_NUMBER.fullmatch, parts)):
        return {"x": float(parts[0]), "y": float(parts[1])}
    return text or None


def _choice(control: Control, value: Any) -> Any:
    # A bool equals 0 or 1 and 1.0 equals 1 in Python; on the wire they are different choices.
    choices = control.choices or ()
    if not isinstance(value, bool | list | dict):
        for choice in choices:
            if choice == value and isinstance(choice, str) == isinstance(value, str):
                return choice if control.members is None else control.members[str(choice)]
    raise control.reject(value, "one of " + ", ".join(map(str, choices)))


def _boolean(control: Control, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise control.reject(value, "true or false")


def _string(control: Control, value: Any) -> str:
    if not isinstance(value, str):
        raise control.reject(value, "text")
    if len(value) > MAX_TEXT:
        words = f"{control.name} must be at most {MAX_TEXT:,} characters long, not {len(value):,}"
        raise ControlError(control.name, words)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise control.reject(value, "made of whole characters (it has a lone surrogate)")
    return value


def _integer(control: Control, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has one kind of number: 5 and 5.0 are the same
    if isinstance(value, bool) or not isinstance(value, int):
        raise control.reject(value, "a whole number" + _within(control))
    return int(_in_range(control, value))


def _number(control: Control, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise control.reject(value, "a number" + _within(control))
    if not abs(value) <= 1.7e308:  # NaN, an infinity, or a whole number that no float holds
        raise control.reject(value, "a finite number" + _within(control))
    return float(_in_range(control, value))


def _point(control: Control, value: Any) -> Point:
    if isinstance(value, Point):
        return value
    if isinstance(value, dict) and set(value) == {"x", "y"}:
        x, y = value["x"], value["y"]
        numbers = isinstance(x, int | float) and isinstance(y, int | float)
        if numbers and not isinstance(x, bool) and not isinstance(y, bool):
            with suppress(ValueError, OverflowError):  # outside, which is said below
                return Point(float(x), float(y))
    raise control.reject(value, 'a place in the picture, {"x": 0..1, "y": 0..1}')


def _file(control: Control, value: Any) -> None:
    words = f"must be null, or uploaded by PUT at ./session/ID/file/{control.name}"
    raise ControlError(control.name, f"{control.name} {words}")


def _within(control: Control) -> str:
    if control.minimum is None or control.maximum is None:
        return ""
    return f" from {bound(control.minimum)} to {bound(control.maximum)}"


def _in_range(control: Control, value: float) -> float:
    widest = MAX_INTEGER if control.type == "integer" else math.inf
    low = -widest if control.minimum is None else control.minimum
    high = widest if control.maximum is None else control.maximum
    if not low <= value <= high:
        if control.minimum is None:  # of a whole number: beyond it none is exact
            raise control.reject(
                value, f"at least -{widest:,}" if value < 0 else f"at most {widest:,}"
            )
        raise control.reject(value, _within(control).strip())
    return value


_PARSERS: dict[str, Callable[[Control, Any], Any]] = {
    "choice": _choice,
    "boolean": _boolean,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "point": _point,
    "file": _file,
}

ACCEPTED = (
    "Literal['a', 'b'], an Enum, bool, int, float, str, Point, File | None, "
    "Annotated[int, Range(1, 20)] or Annotated[float, Range(0.0, 1.0)]"
)


def describe(name: str, annotation: Any, default: Any) -> Control:
    """The control for a parameter. Raises ValueError with what to write instead."""
    options: tuple[Any, ...] = ()
    live = False
    while get_origin(annotation) in (Annotated, Live):
        live = live or get_origin(annotation) is Live
        annotation, *rest = get_args(annotation)
        options += tuple(rest)
    if live != isinstance(default, Live):
        raise ValueError("a Live control has a Live default: `hz: Live[float] = Live(440.0)`")
    if live:
        default = default.value
    span = _only(options, Range)
    label = _only(options, Label)
    size = _only(options, MaxSize)
    for option in options:
        if not isinstance(option, Range | Label | MaxSize):
            raise ValueError(no_option(option))

    words = label.text if label else in_words(name)
    control = _from_type(name, words, annotation, span, size)
    control = replace(control, live=live)
    if control.members is not None and isinstance(default, control.members):
        return replace(control, default=default)
    if control.type == "point" and not isinstance(default, Point | None):
        raise ValueError(f"its default must be a Point, `Point(0.5, 0.5)`, not {default!r}")
    if control.type == "point" and default is None and not control.optional:
        raise ValueError("its default is None: write `Point | None`, or `= Point(0.5, 0.5)`")
    try:
        return replace(control, default=control.parse(default))
    except ControlError as error:
        raise ValueError(f"its default does not fit: {error}") from None


def known(annotation: Any) -> bool:
    """Whether a parameter of this type could be a control, given a default."""
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return (
        inner in (bool, int, float, str, Point, File, Point | None, File | None)
        or get_origin(inner) is Literal
        or (isinstance(inner, type) and issubclass(inner, enum.Enum))
    )


def _from_type(
    name: str, label: str, annotation: Any, span: Range | None, size: MaxSize | None
) -> Control:
    if span is not None and annotation not in (int, float):
        raise ValueError(f"{span!r} goes with int or float only")
    if size is not None and annotation != (File | None):
        raise ValueError(f"{size!r} goes with `File | None` only")
    if annotation is File:
        raise ValueError("there is no file at first: write `File | None = None`")
    if annotation == (File | None):
        most = MAX_FILE if size is None else size.bytes
        return Control(name, label, "file", None, maximum=most, optional=True)
    if annotation is Point:
        return Control(name, label, "point", None)
    if annotation == (Point | None):
        return Control(name, label, "point", None, optional=True)
    if annotation is bool:
        return Control(name, label, "boolean", None)
    if annotation is str:
        return Control(name, label, "string", None)
    if annotation is int or annotation is float:
        kind: ControlType = "integer" if annotation is int else "number"
        if span is None:
            return Control(name, label, kind, None)
        if annotation is int and not all(
            float(n).is_integer() for n in (span.minimum, span.maximum, span.step or 1)
        ):
            raise ValueError(f"{span!r} has fractions, so write Annotated[float, {span!r}]")
        number = int if annotation is int else float
        step = None if span.step is None else number(span.step)
        return Control(name, label, kind, None, number(span.minimum), number(span.maximum), step)
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        if any(isinstance(c, bool) or not isinstance(c, str | int | float) for c in choices):
            raise ValueError("the choices of a Literal must be texts or numbers")
        if len({str(c) for c in choices}) < len(choices):
            raise ValueError("two choices of the Literal read the same in a query string")
        return Control(name, label, "choice", None, choices=choices)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        names = tuple(member.name for member in annotation)
        if not names:
            raise ValueError(f"{annotation.__name__} has no members to choose from")
        return Control(name, label, "choice", None, choices=names, members=annotation)
    raise ValueError(f"{shown(annotation)} cannot be a control; write one of {ACCEPTED}")


def _only(options: Sequence[Any], kind: type) -> Any:
    found = [option for option in options if isinstance(option, kind)]
    if len(found) > 1:
        raise ValueError(f"it has {len(found)} {kind.__name__} options; keep one")
    return found[0] if found else None


def in_words(name: str) -> str:
    """An identifier for people: ``blur_size`` is "Blur size"."""
    return name.replace("_", " ").strip().capitalize()


class Values:
    """A session's current values: changed on the event loop, read from any thread.

    ``change`` is all or nothing. A value applies only when its ``seq`` is higher than the last
    that set that control: one that was overtaken on an unordered channel does no harm.
    """

    def __init__(self, controls: Sequence[Control]) -> None:
        self._controls = {control.name: control for control in controls}
        self._values = {control.name: control.default for control in controls}
        self._live = {name: Live(c.default) for name, c in self._controls.items() if c.live}
        self._seqs: dict[tuple[str, str], int] = {}
        self.revision = 0

    def first(self, query: Mapping[str, str]) -> None:
        """Take the first values from a query string. Raises ControlError, changing nothing."""
        parsed = {name: self._control(name).parse_query(text) for name, text in query.items()}
        self._replace(self._fitting(parsed))

    def change(self, values: Mapping[str, Any], seq: int, setter: str = "") -> bool:
        """Apply a ``set`` message, numbered by its ``setter``; returns whether a control that is
        not ``Live`` has another value now. Raises ControlError, changing nothing."""
        parsed = {name: self._control(name).parse(value) for name, value in values.items()}
        newer = {name: v for name, v in parsed.items() if seq > self._seqs.get((setter, name), -1)}
        before = self._values
        self._replace(self._fitting(newer))
        self._seqs.update({(setter, name): seq for name in newer})
        return any(newer[name] != before[name] for name in newer if name not in self._live)

    def file_control(self, name: str) -> Control | None:
        """The control of this name, if it takes files."""
        control = self._controls.get(name)
        return control if control is not None and control.type == "file" else None

    def place(self, name: str, file: File) -> bool:
        """Take a file that was uploaded; returns whether its control is not ``Live``. Raises
        ControlError."""
        self._replace(self._fitting({name: file}))
        return name not in self._live

    def forget(self, setter: str) -> None:
        """Nothing more comes from there."""
        self._seqs = {key: seq for key, seq in self._seqs.items() if key[0] != setter}

    def snapshot(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """All values, or those named, as a function takes them: consistent with each other, and
        yours to change."""
        values = {**self._values, **self._live}
        return values if names is None else {name: values[name] for name in names}

    def to_json(self) -> dict[str, Any]:
        return self._to_json(self._values)

    def _replace(self, values: dict[str, Any]) -> None:
        self._values = values  # replaced, never changed: readers need no lock
        self.revision += 1
        for name, live in self._live.items():
            live.value = values[name]

    def _to_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: control.to_json(values[name]) for name, control in self._controls.items()}

    def _fitting(self, new: Mapping[str, Any]) -> dict[str, Any]:
        values = {**self._values, **new}
        if new and len(json.dumps(self._to_json(values))) > MAX_VALUES:
            raise ControlError(
                max(new, key=lambda name: len(str(new[name]))),
                f"all values together may take {MAX_VALUES:,} bytes; shorten the texts",
            )
        return values

    def _control(self, name: str) -> Control:
        if name in self._controls:
            return self._controls[name]
        known = ", ".join(self._controls) or "none"
        name = cut(name)
        raise ControlError(name, f"there is no control “{name}”; there are: {known}")
