"""The words of a signature: media types, options for controls, results, and the ``Session``.

Media types are ``Annotated`` arrays, so that what OpenCV and numpy return type-checks as they are:
the dtype is checked when a frame is returned, not by the type checker.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from numpy.typing import NDArray

Item = TypeVar("Item")


@dataclass(frozen=True)
class PixelFormat:
    """Marks an array as a picture; ``name`` is FFmpeg's name of the layout of three channels."""

    name: Literal["bgr24", "rgb24"]


@dataclass(frozen=True)
class AudioFormat:
    """Marks an array as sound: float32 in -1..1, shape (channels, samples), 48 kHz."""


Image: TypeAlias = Annotated[NDArray[Any], PixelFormat("bgr24")]
"""A picture as OpenCV has it: uint8 ``(height, width, 3)``, blue first.

A function gets exactly that, writable and its own. It may return uint8, bool (a mask) or float in
0..1, grey ``(height, width[, 1])``, colour or with alpha (BGRA, laid over black), of any size
from 2x2 to 8192x8192.
"""

RGBImage: TypeAlias = Annotated[NDArray[Any], PixelFormat("rgb24")]
"""The same with red first, as Pillow, matplotlib and Gradio have it (with alpha: RGBA)."""

Samples: TypeAlias = Annotated[NDArray[Any], AudioFormat()]
"""Sound: float32 ``(channels, n)`` in -1..1 at 48 kHz, two channels.

A function gets every block of the microphone, in order; 20 ms each as they come. ``Annotated[
Samples, Block(seconds=1.0), Rate(16000), Channels(1)]`` asks for others. It may return float in
-1..1 (louder is clipped, and said), int16, int32 or uint8, of shape ``(n,)``, ``(channels, n)`` or
``(n, channels)``, of any length: what is returned plays one after another.
"""


@dataclass(frozen=True)
class Block:
    """How much sound each call gets, exactly: ``Annotated[Samples, Block(seconds=1.0)]``.

    Raises ValueError unless ``seconds`` is from 0.005 to 60.
    """

    seconds: float

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not 0.005 <= self.seconds <= 60:
            raise ValueError(f"{self!r}: seconds must be from 0.005 to 60")


@dataclass(frozen=True)
class Rate:
    """The sample rate that a function asks for: ``Annotated[Samples, Rate(16000)]``.

    Raises ValueError unless ``hz`` is from 8000 to 192000.
    """

    hz: int

    def __post_init__(self) -> None:
        if isinstance(self.hz, bool) or not 8000 <= self.hz <= 192_000:
            raise ValueError(f"{self!r}: hz must be from 8000 to 192000")


@dataclass(frozen=True)
class Channels:
    """Mono or stereo: ``Annotated[Samples, Channels(1)]``. Raises ValueError unless 1 or 2."""

    count: int

    def __post_init__(self) -> None:
        if self.count not in (1, 2) or isinstance(self.count, bool):
            raise ValueError(f"{self!r}: count must be 1 or 2")


@dataclass(frozen=True)
class ChunkFormat:
    """Marks bytes, or a path, as an encoded piece of a track."""

    kind: Literal["audio", "video"]


AudioChunk: TypeAlias = Annotated[bytes | str | PathLike[str], ChunkFormat("audio")]
"""Encoded sound that a generator yields: bytes of (or a path to) mp3, wav, ogg, flac, m4a, ...

Chunks of one file, cut anywhere, and whole files one after another play without a gap.
"""

VideoChunk: TypeAlias = Annotated[bytes | str | PathLike[str], ChunkFormat("video")]
"""Encoded video with its sound: bytes of (or a path to) mp4, ts, webm, mkv, ..."""

T = TypeVar("T", bool, int, float, str)


class Live(Generic[T]):
    """A control that a running generator reads as it goes: ``hz: Live[float] = Live(440.0)``.

    Any other control that changes restarts the generator. ``value`` is the session's own.
    """

    def __init__(self, value: T) -> None:
        self.value: T = value

    def __repr__(self) -> str:
        return f"Live({self.value!r})"


class Progress(Protocol):
    """Tells the page how far the function is, for a parameter annotated ``Progress``."""

    def __call__(self, value: float, text: str = "") -> None:
        """``progress(0.4, "step 4 of 10")``. Raises ValueError outside 0..1."""

    def each(self, items: Iterable[Item], text: str = "") -> Iterator[Item]:
        """Go through the items of anything with a length, and report each, as tqdm does.

        Raises TypeError for what has none.
        """


@dataclass(frozen=True)
class Point:
    """A place that the visitor points at in the picture, a control: ``target: Point = Point(0.5,
    0.5)``, or ``Point | None = None`` for none until then.

    ``x`` from the left and ``y`` from the top, as fractions of the picture's width and height, so
    that it stays where it is when the picture's size changes. Raises ValueError outside 0..1.
    """

    x: float
    y: float

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise ValueError(f"a Point has x and y from 0 to 1, not {self.x!r} and {self.y!r}")

    def pixel(self, image: NDArray[Any]) -> tuple[int, int]:
        """Its column and row in a picture ``(height, width[, channels])``."""
        height, width = image.shape[:2]
        return min(int(self.x * width), width - 1), min(int(self.y * height), height - 1)


@dataclass(frozen=True)
class File:
    """A file that the visitor has uploaded, a control: ``video: File | None = None``.

    ``path`` is where it lies, until the session ends or two newer ones have come; ``name`` what the
    visitor calls it, to be shown; ``size`` in bytes. ``Annotated[File | None, MaxSize(bytes)]``
    bounds it; 100 MiB without that.
    """

    path: Path
    name: str
    size: int


@dataclass(frozen=True)
class Download:
    """A file for the visitor to take, made by ``session.download``: ``size`` is in bytes, ``href``
    relative to where the stream is mounted, and not to be guessed."""

    name: str
    size: int
    href: str


@dataclass(frozen=True)
class MaxSize:
    """The most bytes of a ``File``. Raises ValueError unless it is 1 to 2**40."""

    bytes: int

    def __post_init__(self) -> None:
        if isinstance(self.bytes, bool) or not 1 <= self.bytes <= 1 << 40:
            raise ValueError(f"{self!r}: bytes must be from 1 to 2**40")


@dataclass(frozen=True)
class Range:
    """Bounds of an ``int`` or ``float`` control, both included; makes it a slider.

    ``step`` is the slider's; a value between two steps is accepted from elsewhere.
    Raises ValueError for bounds that are not finite or not in order.
    """

    minimum: float
    maximum: float
    step: float | None = None

    def __post_init__(self) -> None:
        numbers = [self.minimum, self.maximum] + ([] if self.step is None else [self.step])
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            raise ValueError(f"{self!r}: minimum, maximum and step must be numbers")
        if not all(abs(n) < 1.7e308 for n in numbers):
            raise ValueError(f"{self!r}: minimum, maximum and step must be finite")
        if self.minimum >= self.maximum:
            raise ValueError(f"{self!r}: minimum must be less than maximum")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"{self!r}: step must be above zero")


@dataclass(frozen=True)
class Label:
    """The words shown beside a control, or the name of a result."""

    text: str


@dataclass(frozen=True)
class Limit:
    """How long a recording may be: ``Annotated[Recording, Limit(seconds=30)]``; 60 without it.

    Raises ValueError unless ``seconds`` is above 0 and at most 600.
    """

    seconds: float

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not 0 < self.seconds <= 600:
            raise ValueError(f"{self!r}: seconds must be above 0 and at most 600")


@dataclass(frozen=True)
class Turn:
    """How speech is cut into turns: ``Annotated[Utterance, Turn(pause=0.8)]``.

    A turn ends after ``pause`` seconds of silence; one with less than ``minimum`` seconds of
    speech is no turn; it begins ``preroll`` seconds before speech was noticed. ``interrupt``:
    speaking again silences the answer that plays at once, and after ``minimum`` seconds it is
    over; what was only a cough lets it go on. ``push_to_talk``: a turn is what is said while the
    visitor holds a button, and nothing else; without, the page lets the visitor choose that.
    Where the microphone hears the answer, the page asks the browser to cancel that echo (a page of
    one's own does so with ``getUserMedia({audio: {echoCancellation: true}})``), and what is left of
    it is no speech as long as it is known again as what was just sent.
    Raises ValueError outside 0.02..10 seconds.
    """

    pause: float = 0.6
    minimum: float = 0.2
    preroll: float = 0.3
    interrupt: bool = True
    push_to_talk: bool = False

    def __post_init__(self) -> None:
        for value in (self.pause, self.minimum, self.preroll):
            if isinstance(value, bool) or not 0.02 <= value <= 10:
                raise ValueError(f"{self!r}: pause, minimum and preroll are 0.02 to 10 seconds")


@dataclass(frozen=True)
class Said:
    """What somebody has said, a result: a list of them is shown as a conversation.

    The list is all of it, each time, so that the last may grow, or be corrected. ``who`` is
    ``"you"`` for the visitor.
    """

    who: str
    text: str


class Peer(NamedTuple):
    """Who is at the other end: the HTTP address that the offer came from, and its headers.

    ``identity`` is who has signed in, or whose token it was; None where the server asks nobody.
    """

    address: str | None
    headers: Mapping[str, str]
    identity: str | None = None


class Session(Protocol):
    """One visitor's connection, for a parameter annotated ``Session``.

    Every method may be called from any thread and returns at once; once the session has ended,
    what is said reaches nobody.
    """

    @property
    def id(self) -> str:
        """The session's unguessable name, as in its URL."""

    @property
    def state(self) -> dict[str, Any]:
        """Yours: a dictionary that lives as long as the session; when the connection is lost, 30
        seconds longer, for the session of the page that comes back."""

    @property
    def peer(self) -> Peer:
        """The visitor's address and request headers."""

    def send(self, data: Any) -> None:
        """Send anything JSON can say (arrays and dataclasses too) to the page, up to 64 KiB.

        Raises ResultError when it cannot be sent.
        """

    def receive(self) -> list[Any]:
        """What the page has sent by ``data`` messages since the last call, oldest first."""

    def info(self, text: str) -> None:
        """Show a notice on the page."""

    def warn(self, text: str) -> None:
        """Show a warning on the page."""

    def error(self, text: str) -> None:
        """Show an error on the page."""

    def progress(self, value: float, text: str = "") -> None:
        """Show how far something is, 0..1. Raises ValueError outside."""

    def stats(self) -> dict[str, Any]:
        """What the page was last told of this session, once a second; empty before that.

        ``fps_in``, ``fps_out``, ``function_ms``, ``dropped``, ``bitrate``, ``size_in``,
        ``size_out``, and ``stages``: median and 95th percentile, in milliseconds, of each stage of
        a picture's way: ``decode``, ``wait``, ``function``, ``wait_encoder``, ``encode``, ``send``,
        and ``total``. In a shared run: ``viewers`` and ``stages``.
        """

    def played(self) -> float:
        """Seconds of its sound that a generator's run has been heard with so far: when it has been
        interrupted, until there. Silence in between does not count; up to a tenth of a second may
        be in the visitor's buffer still."""

    def download(self, path: str | PathLike[str], name: str = "") -> "Download":
        """Offer a file of yours to the visitor: what this returns is a result, which the page shows
        as a link, by this ``name`` or the file's own.

        It is sent as it is then, and is yours to delete; when the session ends, or 16 newer ones
        have been offered, the link is good no more. Raises FileNotFoundError.
        """

    def close(self, reason: str = "closed by the function") -> None:
        """End the session; the page shows the reason."""
