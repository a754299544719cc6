"""The words of a signature: media types, options for controls, results, and the ``Session``.

Media types are ``Annotated`` arrays, so that what OpenCV and numpy return type-checks as they are:
the dtype is checked when a frame is returned, not by the type checker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypeAlias

from numpy.typing import NDArray


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
"""Sound: float32 ``(channels, n)`` in -1..1 at 48 kHz. Streams of sound are not served yet."""


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
class Box:
    """A rectangle that the page draws over the picture.

    ``x``, ``y`` (left, top), ``width`` and ``height`` are in pixels of the picture that the
    function was given; ``score`` is in 0..1.
    """

    x: float
    y: float
    width: float
    height: float
    label: str = ""
    score: float | None = None


class Peer(NamedTuple):
    """Who is at the other end: the HTTP address that the offer came from, and its headers."""

    address: str | None
    headers: Mapping[str, str]


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
        """Yours: a dictionary that lives as long as the session."""

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

    def close(self, reason: str = "closed by the function") -> None:
        """End the session; the page shows the reason."""
