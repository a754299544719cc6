"""Where in a picture people are: by MediaPipe's selfie segmentation, or a network of yours."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtcstream.examples._models import Missing, Network, Shared, Tell, options

INSTALL = "pip install --no-deps mediapipe==0.10.21"
WEIGHTS = "modules/selfie_segmentation/selfie_segmentation.tflite"
SIDE = 256
"""Pixels across and down that the network is given, and that its mask has."""


class People:
    """How surely each place of a picture belongs to somebody: float32 in 0..1, ``(SIDE, SIDE)``.

    The network takes red, green and blue in 0..1, ``(1, 3, SIDE, SIDE)``, and gives as many places.
    Raises Missing, ValueError for a network of another kind, and what ``Network`` does.
    """

    def __init__(self, progress: Tell) -> None:
        path = weights()
        progress(0.1, f"Reading {path.name}")
        self._name = path.name
        self._network = Network(path)
        progress(0.5, "Trying it out")  # the first run is slow
        self(np.zeros((SIDE, SIDE, 3), np.uint8))

    def __call__(self, image: Any) -> Any:
        small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        outputs = self._network(cv2.dnn.blobFromImage(small, 1 / 255, swapRB=True))
        [mask, *others] = outputs.values()
        if others or mask.size != SIDE * SIDE:
            shapes = " and ".join(str(each.shape) for each in outputs.values())
            raise ValueError(f"{self._name} gives {shapes}, not one mask of {SIDE}x{SIDE}")
        if not -0.001 < mask.min() <= mask.max() < 1.001:
            raise ValueError(f"{self._name} gives {mask.min():g} to {mask.max():g}, not 0 to 1")
        return mask.reshape(SIDE, SIDE)


def weights() -> Path:
    """The file that ``--segmenter`` names, or else the one in the package mediapipe, of which
    nothing is imported: all that it depends on is heavy, and not needed. Raises Missing."""
    given: Path | None = options().segmenter
    if given is not None:
        return given
    package = importlib.util.find_spec("mediapipe")
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder, WEIGHTS)).is_file():
            return path
    raise Missing(
        f"This example needs weights that find people: {INSTALL} (in a checkout by .venv/bin/pip; "
        "Python 3.11 or 3.12; one file is all that is used of it), or name a network with "
        "`-- --segmenter FILE`"
    )


people = Shared(People)
"""What the sessions find people by."""
