"""Pictures to frames and back: every form that a function may return, and what is refused."""

from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rtcstream import ResultError
from rtcstream.media import LARGEST, Channels, planes, to_array, to_frame

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)
"""As BGR."""
TOLERANCE = 4
"""Limited-range 8-bit YUV does not hold every colour exactly."""


def filled(colour: tuple[int, ...], height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    return np.full((height, width, len(colour)), colour, np.uint8)


def scene(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth picture that is nowhere the same when it is turned or its colours are swapped."""
    y, x = np.mgrid[0:height, 0:width]
    blue, green, red = 255 * x / width, 255 * y / height, 128 * (1 - x / width)
    return np.stack([blue, green, red], -1).astype(np.uint8)


def difference(a: NDArray[Any], b: NDArray[Any]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def there_and_back(picture: Any, channels: Channels = "bgr24") -> NDArray[np.uint8]:
    return to_array(to_frame(picture, channels), channels)


@pytest.mark.parametrize("colour", [BLUE, GREEN, RED, (0, 0, 0), (255, 255, 255), (30, 90, 200)])
def test_a_colour_stays_itself(colour: tuple[int, int, int]) -> None:
    """Red stays red on the way to a frame and back, for BGR and for RGB."""
    bgr = filled(colour)
    assert difference(there_and_back(bgr), bgr) <= TOLERANCE
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    assert difference(there_and_back(rgb, "rgb24"), rgb) <= TOLERANCE
    assert difference(to_array(to_frame(bgr, "bgr24"), "rgb24"), rgb) <= TOLERANCE


@pytest.mark.parametrize("format", ["rgb24", "bgr24", "yuv420p", "yuv444p", "nv12", "rgba"])
def test_red_by_ffmpegs_reckoning(format: str) -> None:
    """A frame that others made, in any pixel format, has the colours that they gave it."""
    red = av.VideoFrame.from_ndarray(filled(RED), format="bgr24").reformat(format=format)
    assert difference(to_array(red, "bgr24"), filled(RED)) <= TOLERANCE
    assert difference(to_array(red, "rgb24"), filled(BLUE)) <= TOLERANCE


def test_a_frame_as_ffmpeg_sees_it() -> None:
    """What is sent as red is red to whoever decodes it."""
    seen = to_frame(filled(RED), "bgr24").to_ndarray(format="rgb24")
    assert difference(seen, filled((255, 0, 0))) <= TOLERANCE


@pytest.mark.parametrize("channels", ["bgr24", "rgb24"])
@pytest.mark.parametrize("size", [(48, 64), (47, 64), (48, 63), (47, 63), (2, 2), (3, 3), (2, 99)])
def test_any_size(size: tuple[int, int], channels: Channels) -> None:
    """A picture keeps its size, odd ones too, and each pixel its place."""
    grey = (np.arange(size[0] * size[1]).reshape(size) * 7 % 256).astype(np.uint8)
    frame = to_frame(grey, channels)
    assert (frame.height, frame.width) == size
    assert frame.format.name == "yuv420p"
    assert difference(to_array(frame, channels), np.dstack([grey] * 3)) <= TOLERANCE
    plain = np.full((*size, 3), (200, 100, 50), np.uint8)
    assert difference(there_and_back(plain, channels), plain) <= TOLERANCE


@pytest.mark.parametrize("size", [(LARGEST, 2), (2, LARGEST)])
def test_the_largest_pictures(size: tuple[int, int]) -> None:
    """Pictures of the greatest width and height are taken."""
    frame = to_frame(np.zeros(size, np.uint8), "bgr24")
    assert (frame.height, frame.width) == size


GREY = filled((200, 200, 200))
STRIPES: NDArray[np.bool_] = np.tile(np.arange(64) < 32, (48, 1))


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (GREY[..., 0], GREY),
        (GREY[..., :1], GREY),
        (GREY[..., 0] / 255, GREY),
        (GREY.astype(np.float32) / 255, GREY),
        (GREY.astype(np.float16) / 255, GREY),
        (GREY[..., :1].astype(np.float64) / 255, GREY),
        (STRIPES, filled((255, 255, 255)) * STRIPES[..., None]),
        (np.repeat(STRIPES[..., None], 3, -1), filled((255, 255, 255)) * STRIPES[..., None]),
        (np.zeros((48, 64)), filled((0, 0, 0))),
        (np.ones((48, 64, 3)), filled((255, 255, 255))),
        (np.full((48, 64), 1.0005), filled((255, 255, 255))),
        (np.full((48, 64), -0.0005), filled((0, 0, 0))),
        (filled((*RED, 255)), filled(RED)),
        (filled((*RED, 0)), filled((0, 0, 0))),
        (filled((200, 100, 0, 128)), filled((100, 50, 0))),
        (filled((*RED, 255)) / 255, filled(RED)),
    ],
)
def test_what_a_function_may_return(returned: NDArray[Any], expected: NDArray[np.uint8]) -> None:
    """Grey, float in 0..1, masks and pictures with alpha, laid over black, are shown as meant."""
    before = returned.copy()
    assert difference(there_and_back(returned), expected) <= TOLERANCE
    assert np.array_equal(returned, before), "it is the function's own, and left as it is"


def test_alpha_with_red_first() -> None:
    """An RGBA picture of an `RGBImage` keeps its colours."""
    rgba = filled((255, 0, 0, 255))
    assert difference(to_array(to_frame(rgba, "rgb24"), "bgr24"), filled(RED)) <= TOLERANCE


@pytest.mark.parametrize(
    "view",
    [
        lambda image: image[::-1],
        lambda image: image[:, ::-1],
        lambda image: image[..., ::-1],
        lambda image: image[4:44, 8:40],
        lambda image: image[::2, ::2],
        lambda image: image.transpose(1, 0, 2),
        lambda image: np.asfortranarray(image),
        lambda image: np.broadcast_to(image[:1, :1], image.shape),
        lambda image: image[..., 1],
        lambda image: (image / 255.0)[::-1, ::-1],
        lambda image: np.dstack([image, image[..., :1]])[::-1],
    ],
    ids=range(11),
)
def test_views(view: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """A view that is not contiguous in memory is sent as the copy of it would be."""
    returned = view(scene())
    assert np.array_equal(there_and_back(returned), there_and_back(returned.copy("C")))


def test_an_upside_down_picture() -> None:
    """`image[::-1]` is upside down on the page."""
    turned = there_and_back(scene()[::-1])
    assert difference(turned, scene()[::-1]) <= 12  # colours that change within four pixels
    assert difference(turned, scene()) > 200


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
@pytest.mark.parametrize("channels", ["bgr24", "rgb24"])
def test_the_array_is_the_functions_own(size: tuple[int, int], channels: Channels) -> None:
    """A function may write into the picture that it is given, and keep it."""
    frame = to_frame(scene(*size), channels)
    before = [plane.copy() for plane in planes(frame)]
    first = to_array(frame, channels)
    assert first.dtype == np.uint8 and first.shape == (*size, 3)
    assert first.flags.writeable and first.flags.owndata and first.flags.c_contiguous
    first[:] = 0
    assert all(map(np.array_equal, planes(frame), before))
    assert to_array(frame, channels).any()


def test_a_frame_is_apart_from_its_array() -> None:
    """What the function does later to the picture that it returned changes nothing sent."""
    picture = filled(RED)
    frame = to_frame(picture, "bgr24")
    picture[:] = 0
    assert difference(to_array(frame, "bgr24"), filled(RED)) <= TOLERANCE


@pytest.mark.parametrize("width", [2, 30, 63, 64, 641])
def test_planes_leave_the_padding_out(width: int) -> None:
    """The planes of a frame are its pixels alone, whatever the lines' lengths in memory."""
    luma, *chroma = planes(av.VideoFrame(width, 5, "yuv420p"))
    assert luma.shape == (5, width)
    assert [each.shape for each in chroma] == [(3, (width + 1) // 2)] * 2


def zeros(*shape: int, dtype: Any = np.uint8) -> NDArray[Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("picture", "must be a numpy array of shape (height, width, 3), not str"),
        (b"\xff\xd8", "must be a numpy array of shape (height, width, 3), not bytes"),
        (None, "not NoneType"),
        ([[0, 0], [0, 0]], "not list"),
        (5, "not int"),
        (np.uint8(5), "not numpy.uint8"),
        (zeros(), "must have the shape (height, width), or (height, width, channels)"),
        (zeros(64), "not (64,)"),
        (zeros(1, 48, 64, 3), "not (1, 48, 64, 3)"),
        (zeros(3, 48, 64), "with 1, 3 or 4 channels, not (3, 48, 64)"),
        (zeros(48, 64, 2), "with 1, 3 or 4 channels, not (48, 64, 2)"),
        (zeros(48, 64, 0), "not (48, 64, 0)"),
        (zeros(0, 64, 3), "must be 2 to 8192 pixels wide and high, not 64x0"),
        (zeros(0, 0), "not 0x0"),
        (zeros(1, 1, 3), "must be 2 to 8192 pixels wide and high, not 1x1"),
        (zeros(1, 64), "not 64x1"),
        (zeros(2, LARGEST + 1), "must be 2 to 8192 pixels wide and high, not 8193x2"),
        (zeros(LARGEST + 1, 2, 3), "not 2x8193"),
        (zeros(48, 64, dtype=np.uint16), "must be uint8, or float in 0..1, not uint16; convert it"),
        (zeros(48, 64, 3, dtype=np.int64), "not int64; convert it with .astype(np.uint8)"),
        (zeros(48, 64, dtype=np.complex64), "not complex64"),
        (zeros(48, 64, dtype=object), "not object"),
        (np.full((48, 64), "x"), "not <U1"),
        (np.full((48, 64, 3), 255.0), "must lie in 0..1, but this one goes above 1; divide it by"),
        (np.full((48, 64), 1.01), "but this one goes above 1; divide it by 255, np.clip it"),
        (np.full((48, 64), -0.5, np.float32), "goes below 0"),
        (np.full((48, 64), np.nan), "has NaN in it; np.nan_to_num makes 0 of each"),
        (np.full((48, 64), np.inf), "goes above 1"),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else None,
)
def test_what_is_no_picture(returned: Any, sentence: str) -> None:
    """Anything else is refused with what it is and what it must be."""
    with pytest.raises(ResultError) as caught:
        to_frame(returned, "bgr24")
    assert str(caught.value).startswith(("an image must ", "a float image must "))
    assert sentence in str(caught.value)


def test_one_pixel_that_is_no_number() -> None:
    """A single NaN in a float picture is found."""
    picture = np.zeros((48, 64, 3), np.float32)
    picture[30, 40, 1] = np.nan
    with pytest.raises(ResultError, match="a float image must lie in"):
        to_frame(picture, "bgr24")
