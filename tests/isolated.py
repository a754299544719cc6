"""Functions for worker processes, which import this file: it takes nothing heavy with it."""

import asyncio
import contextlib
import ctypes
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from rtcstream import (
    AudioChunk,
    Block,
    Image,
    Live,
    LoadingFailed,
    Progress,
    Range,
    Rate,
    Recording,
    Samples,
    Session,
)


def negative(image: Image) -> Image:
    return 255 - image


def process_id(image: Image) -> tuple[Image, int]:
    return image, os.getpid()


def tinted(image: Image, level: Annotated[int, Range(0, 255)] = 10) -> Image:
    return np.full_like(image, level)


def counted(image: Image) -> tuple[Image, int]:
    """The picture's own number, painted in grey, as its result."""
    return image, int(image[:, :, 1].mean())


def dying(image: Image, how: str = "") -> tuple[Image, int]:
    if how == "exit":
        os._exit(3)
    if how == "segv":
        ctypes.string_at(0)
    if how == "nonsense":  # to every socket that it finds
        for descriptor in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(descriptor, b"\xff" * 64)
    if how == "deaf":
        os.closerange(3, 64)
    return np.full_like(image, 99), os.getpid()


def raising(image: Image) -> Image:
    raise ValueError("no luck")


def wrong(image: Image) -> Image:
    return None  # type: ignore[return-value]


def hanging(image: Image, on: bool = False) -> tuple[Image, int]:
    while on:  # holds the interpreter, all that one thread can
        pass
    return image, os.getpid()


def parental(image: Image) -> tuple[Image, int]:
    child = subprocess.Popen(["sleep", "1000"])
    return image, child.pid


def quieter(samples: Annotated[Samples, Block(seconds=0.1), Rate(16000)]) -> Samples:
    return samples * 0.5


def brittle(samples: Samples, on: bool = True) -> Samples:
    if not on:
        os._exit(1)
    return samples


def talkative(image: Image, session: Session, progress: Progress) -> Image:
    about = {"stats": sorted(session.stats())[:1], "played": session.played()}
    session.send({"received": session.receive(), **about})
    session.info("hello")
    session.warn("careful")
    session.state["calls"] = session.state.get("calls", 0) + 1
    progress(0.5, session.id)
    if session.state["calls"] == 2:
        session.close(f"after {session.state['calls']}")
    return image


class Counter:
    """Counts its calls; writes the count to a file at the end."""

    path = Path(os.environ.get("RTCSTREAM_TEST_FILE", os.devnull))

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, image: Image) -> tuple[Image, int]:
        self.count += 1
        return image, self.count

    def close(self) -> None:
        self.path.write_text(str(self.count))


class Unbuilt:
    def __init__(self) -> None:
        raise RuntimeError("the weights are missing")

    def __call__(self, image: Image) -> Image:
        return image


class Deadly:
    def __init__(self) -> None:
        os._exit(3)

    def __call__(self, image: Image) -> Image:
        return image


async def patient(image: Image) -> Image:
    await asyncio.sleep(0.01)
    return 255 - image


def levels() -> Iterator[Image]:
    for level in (50, 100, 150):
        yield np.full((48, 64, 3), level, np.uint8)
        time.sleep(0.2)


def tone(hz: Live[float] = Live(440.0)) -> Iterator[tuple[Samples, float]]:
    while True:
        yield np.sin(np.arange(4800) * 2 * np.pi * 440 / 48_000) / 4, hz.value


async def numbers(start: int = 0) -> AsyncIterator[int]:
    yield os.getpid()
    yield start
    await asyncio.Event().wait()


def suicidal(session: Session) -> Iterator[int]:
    yield os.getpid()
    time.sleep(0.2)
    os._exit(1)


def waiting(hz: Live[float] = Live(1.0)) -> Iterator[float]:
    yield hz.value
    while hz.value == 1.0:  # a generator that is asked for nothing, and looks
        time.sleep(0.01)
    yield hz.value


def chunks(path: str = "") -> Iterator[AudioChunk]:
    yield path
    yield Path(path).read_bytes()


def length(take: Recording) -> Iterator[Any]:
    yield [take.samples.shape[1], take.rate, take.path.stat().st_size]


def needs_weights(image: Image) -> Image:
    raise LoadingFailed("It needs weights: pip install them")
