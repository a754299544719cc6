"""What `import rtcstream` gives: its names, the error tree, and a stream's own description."""

import inspect
import math
import typing
from typing import Any

import pytest

import rtcstream
from rtcstream import (
    ControlError,
    Image,
    MessageError,
    RGBImage,
    RtcStreamError,
    Samples,
    Session,
    SignatureError,
    Stream,
    errors,
    messages,
)
from rtcstream.session import MediaSession
from rtcstream.types import AudioFormat, PixelFormat

NAMES = [
    *("AudioChunk", "Image", "RGBImage", "Recording", "Samples", "Utterance", "VideoChunk"),
    "VideoRecording",
    *(
        "Block",
        "Channels",
        "Download",
        "File",
        "MaxSize",
        "Label",
        "Limit",
        "Live",
        "Range",
        "Rate",
        "Point",
        "Turn",
    ),
    *("Box", "Keypoints", "Mask", "Plot", "Said", "Tag", "Text"),
    *("Peer", "Progress", "Session"),
    *("CommandError", "ControlError", "EncoderError", "MessageError", "NegotiationError"),
    *("LoadingFailed", "ResultError", "RtcStreamError", "SessionClosed", "SignatureError"),
    *("Bitrate", "IceServers", "Limits", "Stream", "batched", "serve"),
]


def test_the_public_names() -> None:
    """The package offers these names and no others; to change them is to change its promise."""
    assert sorted(rtcstream.__all__) == sorted(NAMES)
    assert all(hasattr(rtcstream, name) for name in NAMES)
    assert rtcstream.__version__


@pytest.mark.parametrize("name", [n for n in NAMES if inspect.isclass(getattr(rtcstream, n))])
def test_every_class_says_what_it_is(name: str) -> None:
    """Each public class, and each of its public methods, has a docstring of its own."""
    public = getattr(rtcstream, name)
    assert public.__doc__ and not public.__doc__.startswith(f"{name}("), "not dataclasses' own"
    for method, value in vars(public).items():
        if not method.startswith("_") and (inspect.isfunction(value) or type(value) is property):
            assert value.__doc__, f"{name}.{method}"
    assert inspect.getdoc(rtcstream.serve)


def test_the_media_types() -> None:
    """The media types are arrays to a type checker, and tell their form to the signature."""
    forms = {name: typing.get_args(hint)[1] for name, hint in (("bgr", Image), ("rgb", RGBImage))}
    assert forms == {"bgr": PixelFormat("bgr24"), "rgb": PixelFormat("rgb24")}
    assert typing.get_args(Samples)[1] == AudioFormat()


def every_error() -> list[type[Exception]]:
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, Exception)
    ]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_the_error_tree(error: type[Exception]) -> None:
    """Every error of ours is caught by `except RtcStreamError`, and is public."""
    assert issubclass(error, RtcStreamError)
    assert getattr(rtcstream, error.__name__) is error
    assert error.__doc__


def test_what_errors_are_in_python() -> None:
    """A wrong signature or result is a TypeError, a wrong value or message a ValueError."""
    assert issubclass(SignatureError, TypeError) and issubclass(rtcstream.ResultError, TypeError)
    assert issubclass(ControlError, ValueError) and issubclass(MessageError, ValueError)


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        (None, "f(): no"),
        ("return", "f(), what it returns: no"),
        ("size", "f(), parameter 'size': no"),
    ],
)
def test_where_a_signature_is_wrong(parameter: str | None, sentence: str) -> None:
    """A SignatureError names its place in words and as attributes."""
    error = SignatureError("f", parameter, "no")
    assert (str(error), error.function, error.parameter) == (sentence, "f", parameter)


def test_what_errors_carry() -> None:
    """A ControlError carries the control's name, a MessageError the message's number."""
    control, message = ControlError("size", "no"), MessageError("no", 7)
    assert (str(control), control.control) == ("no", "size")
    assert (str(message), message.seq, MessageError("no").seq) == ("no", 7, None)


def is_a_session(session: MediaSession) -> Session:
    """Fails under mypy when the session that functions get is not what they were promised."""
    return session


def test_what_functions_get_as_a_session() -> None:
    """The session has every method of the protocol, with the same parameters."""
    assert is_a_session.__annotations__["return"] is Session
    for name, method in vars(Session).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            mine = inspect.signature(getattr(MediaSession, name))
            assert mine.parameters == inspect.signature(method).parameters, name


def test_every_message_to_the_page_has_a_type() -> None:
    """Each message to the page names its type on the wire, no two the same."""
    kinds = [kind.type for kind in typing.get_args(messages.ServerMessage)]
    assert len(set(kinds)) == len(kinds)
    assert {"controls", "error", "result", "log", "state", "progress", "stats"} < set(kinds)
    assert {"data", "end"} < set(kinds)


def outline(image: Image, on: bool = True) -> tuple[Image, int]:
    """Lines
    only.

    More.
    """
    return image, 1


def test_how_a_stream_describes_itself() -> None:
    """`stream.json` follows from the signature, its docstring and the stream's own options."""
    described = Stream(outline, max_fps=15).describe()
    assert [control["name"] for control in described.pop("controls")] == ["on"]
    assert described == {
        "version": 1,
        "name": "outline",
        "title": "Outline",
        "description": "Lines only.",
        "inputs": ["video"],
        "outputs": ["video", "data"],
        "limits": {"time_limit": None, "concurrency_limit": None},
        "maxFps": 15,
        "shared": False,
        "take": None,
    }
    named = Stream(outline, title="Art", description="Mine.")
    assert (named.title, named.description) == ("Art", "Mine.")


def picture(image: Image) -> Image:
    return image


def number(image: Image) -> float:
    return 1.0


def nothing(image: Image) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "outputs"),
    [(picture, ["video"]), (number, ["data"]), (nothing, []), (outline, ["video", "data"])],
)
def test_the_outputs_of_a_stream(function: Any, outputs: list[str]) -> None:
    """A stream sends a picture, results, both or nothing, as its function returns."""
    assert Stream(function).describe()["outputs"] == outputs


@pytest.mark.parametrize("max_fps", [0, -1, math.nan, math.inf])
def test_a_rate_that_makes_no_sense(max_fps: float) -> None:
    """`max_fps` is a number above zero, or None."""
    with pytest.raises(ValueError, match="max_fps must be above zero, or None for no bound, not"):
        Stream(picture, max_fps=max_fps)


def test_options_of_how_media_are_sent() -> None:
    """A bitrate, a latency or a codec that there is not is refused with those that there are."""
    with pytest.raises(ValueError, match="latency must be one of 'lowest', 'smooth', 'auto'"):
        Stream(picture, latency="low")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codec must be one of 'auto', 'vp8', 'h264', not 'av1'"):
        Stream(picture, codec="av1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="50_000 <= least <= start <= most"):
        Stream(picture, bitrate=1)
    assert Stream(picture, bitrate=900_000).options.bitrate.most == 900_000
