"""What the soaked server serves; its worker processes import this file."""

import os
import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from rtcstream import Image, Range, Samples, Session

ON_PURPOSE = "fails on purpose"
TIME_LIMIT = 3.0
"""Seconds that a session of ``limited`` may last."""
ROOM = 3
"""Sessions that ``line`` takes at a time."""


def filtered(image: Image, level: Annotated[int, Range(0, 255)] = 0, fail: bool = False) -> Image:
    if fail:
        raise ValueError(ON_PURPOSE)
    return 255 - image if level == 0 else np.full_like(image, level)


def isolated(image: Image, level: Annotated[int, Range(0, 255)] = 0) -> tuple[Image, int]:
    """Its process's id is the result."""
    return image, os.getpid()


def line(image: Image) -> Image:
    return image[::-1]


def limited(image: Image) -> Image:
    return image[:, ::-1]


def closing(image: Image, session: Session, leave: bool = False) -> Image:
    session.state["calls"] = session.state.get("calls", 0) + 1
    if leave:
        session.close()
    return image


def watched(level: Annotated[int, Range(0, 255)] = 0) -> Iterator[Image]:
    """Restarts when its control changes."""
    number = level
    while True:
        yield np.full((120, 160, 3), number % 256, np.uint8)
        number += 1
        time.sleep(0.1)


def shared(level: Annotated[int, Range(0, 255)] = 0) -> Iterator[tuple[Image, int]]:
    """One run for all who watch."""
    for picture in watched(level):
        yield picture, int(picture[0, 0, 0])


def both(image: Image) -> Image:
    """With ``quieter`` beside it."""
    return image


def quieter(samples: Samples) -> Samples:
    return samples * 0.5


class Counter:
    """Its instance is kept when a connection is lost; its ``close`` counts."""

    closed = 0
    built = 0

    def __init__(self) -> None:
        type(self).built += 1

    def __call__(self, image: Image) -> Image:
        return image

    def close(self) -> None:
        type(self).closed += 1
