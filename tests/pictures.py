"""Pictures for tests: smooth enough to survive a codec, and easy to tell apart."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def scene(width: int = 640, height: int = 480, seed: int = 0) -> NDArray[np.uint8]:
    """Soft blotches of colour, different in each corner."""
    few = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def plain(colour: tuple[int, int, int], width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """One colour (BGR) all over."""
    return np.full((height, width, 3), colour, np.uint8)


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Mean absolute difference, in grey levels."""
    assert a.shape == b.shape, f"{a.shape} against {b.shape}"
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())
