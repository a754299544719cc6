"""Data-channel messages to and from dataclasses: the wire contract, version 1, without any I/O."""

import json
import math
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias

from .errors import MessageError

MAX_MESSAGE = 64 * 1024
"""The largest message in bytes of UTF-8, either way."""
MAX_SEQ = 2**53 - 1


# To the server


@dataclass(frozen=True)
class Set:
    """Change controls: ``values`` by name, ``seq`` grows with each."""

    seq: int
    values: dict[str, Any]


@dataclass(frozen=True)
class ClientData:
    """Anything that the page wants to tell the function."""

    data: Any


@dataclass(frozen=True)
class Run:
    """Run the generator again, from its start."""


@dataclass(frozen=True)
class Record:
    """Begin a recording, or end it and let the function have it."""

    on: bool


@dataclass(frozen=True)
class Talk:
    """Begin a turn of speech (push to talk), or end it and let the function answer."""

    on: bool


ClientMessage: TypeAlias = Set | ClientData | Run | Record | Talk


def parse(text: str | bytes, most: int = MAX_MESSAGE) -> ClientMessage:
    """One message from the page, of up to ``most`` bytes. Raises MessageError saying what is wrong
    with it."""
    if isinstance(text, bytes):
        raise MessageError("binary messages have no meaning here; send JSON text")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > most:
        raise MessageError(f"the message has {size} bytes; at most {most} are taken")
    try:
        message = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except MessageError:
        raise
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise MessageError('the message must be a JSON object with a "type"')
    kind = message.get("type")
    if kind == "set":
        return _parse_set(message)
    if kind == "data":
        if "data" not in message:
            raise MessageError('a "data" message must carry "data"')
        return ClientData(message["data"])
    if kind == "run":
        return Run()
    if kind in ("record", "turn"):
        if not isinstance(message.get("on"), bool):
            raise MessageError(f'a "{kind}" message must carry "on": true or false')
        return (Record if kind == "record" else Talk)(message["on"])
    shown = repr(kind)[:60]
    raise MessageError(
        f"there is no message type {shown} here; "
        'there are "set", "data", "run", "record" and "turn"'
    )


def _parse_set(message: dict[str, Any]) -> Set:
    seq, values = message.get("seq"), message.get("values")
    if isinstance(seq, bool) or not isinstance(seq, int) or not 0 <= seq <= MAX_SEQ:
        raise MessageError('"seq" must be a whole number from 0, higher with each "set"')
    if not isinstance(values, dict):
        raise MessageError('"values" must be an object of control names and values', seq)
    return Set(seq, values)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MessageError(f"{digits[:40]} is too large for a number")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise MessageError(f"{name} is not JSON (RFC 8259 section 6)")


# To the page


@dataclass(frozen=True)
class Controls:
    """All current values: the acknowledgement of the ``set`` numbered ``seq``.

    ``revision`` grows with each change: on an unordered channel they may overtake each other.
    """

    type: ClassVar[str] = "controls"
    seq: int | None
    values: dict[str, Any]
    revision: int


@dataclass(frozen=True)
class Error:
    """A message of the page that was rejected; nothing changed."""

    type: ClassVar[str] = "error"
    seq: int | None
    control: str | None
    message: str


@dataclass(frozen=True)
class Result:
    """What the function made of the frame whose 32-bit RTP timestamp on the wire is ``pts``."""

    type: ClassVar[str] = "result"
    pts: int | None
    run: int
    name: str | None
    data: Any


@dataclass(frozen=True)
class Log:
    """A line for the page; ``count`` is how often it has been said so far in this session."""

    type: ClassVar[str] = "log"
    level: Literal["info", "warning", "error"]
    message: str
    count: int = 1


StateValue: TypeAlias = Literal[
    "waiting",
    "loading",
    "running",
    "recording",
    "listening",
    "speaking",
    "thinking",
    "finished",
]


@dataclass(frozen=True)
class State:
    """What the session is doing; ``speaking`` is the visitor's, ``thinking`` the function's."""

    type: ClassVar[str] = "state"
    value: StateValue


@dataclass(frozen=True)
class Progress:
    """How far something is, 0..1."""

    type: ClassVar[str] = "progress"
    value: float
    text: str


@dataclass(frozen=True)
class ServerData:
    """Anything that the function wants to tell the page."""

    type: ClassVar[str] = "data"
    data: Any


@dataclass(frozen=True)
class Stats:
    """The last second: frames a second in and out, time in the function, frames dropped in all.

    ``function_ms`` is the median; ``bitrate`` is in bit/s of media sent; sizes are (width, height).
    ``messages_dropped`` are those for the page that were given up since the session began.
    ``clock`` is an RTP timestamp of the page's camera, and when that was captured by the page's own
    clock, in milliseconds since 1970: by it the page knows how old a result is.
    ``stages`` are median and 95th percentile, in milliseconds, of each stage of a picture's way
    through the server, of the last 300 pictures.
    """

    type: ClassVar[str] = "stats"
    fps_in: float
    fps_out: float
    function_ms: float | None
    dropped: int
    bitrate: int
    size_in: tuple[int, int] | None
    size_out: tuple[int, int] | None
    messages_dropped: int = 0
    clock: tuple[int, float] | None = None
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Time:
    """How many seconds of a session's time are left."""

    type: ClassVar[str] = "time"
    remaining: float


LOAD_FAILED = "load_failed"
"""The reason of an ``End`` whose function could not be made ready; what was wrong is the error
that was told last."""


@dataclass(frozen=True)
class End:
    """The last message of a session, with why it ends: ``"load_failed"``, ``"time_limit"``,
    ``"idle_timeout"``, or a sentence."""

    type: ClassVar[str] = "end"
    reason: str


ServerMessage: TypeAlias = (
    Controls | Error | Result | Log | State | Progress | ServerData | Stats | Time | End
)


def encode(message: ServerMessage) -> str:
    """The message as JSON text.

    Raises MessageError when its data has no JSON form, or more than 64 KiB of it.
    """
    body = {"type": message.type} | {f.name: getattr(message, f.name) for f in fields(message)}
    try:
        text = json.dumps(body, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageError(f"it has no JSON form: {error}") from None
    if len(text) > MAX_MESSAGE:  # ASCII: json.dumps escapes the rest, so characters are bytes
        raise MessageError(f"it takes {len(text)} bytes of JSON; at most {MAX_MESSAGE} are sent")
    return text
