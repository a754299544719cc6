"""Batched functions given to a Stream: what each session gets, and what is refused."""

import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any

import pytest

from rtcstream import (
    Box,
    Image,
    Range,
    Session,
    SignatureError,
    Stream,
    batched,
    testing,
)
from tests.pictures import plain
from tests.waiting import until

PICTURE = plain((90,) * 3, 64, 48)


@batched(max_size=8)
def brighter(
    images: list[Image],
    sessions: list[Session],
    by: Sequence[Annotated[int, Range(0, 100)]] = (10,),
) -> list[tuple[Image, list[Box]]]:
    """Brighter by so much.

    More text.
    """
    return [
        (image + amount, [Box(0, 0, 8, 8, session.id)])
        for image, amount, session in zip(images, by, sessions, strict=True)
    ]


async def test_of_a_stream() -> None:
    """A batched function is a stream's as it is: each session has its own controls and session."""
    stream = Stream(brighter)
    assert (stream.title, stream.description) == ("Brighter", "Brighter by so much.")
    [control] = stream.describe()["controls"]
    assert (control["name"], control["default"], control["maximum"]) == ("by", 10, 100)
    assert stream.describe()["inputs"] == ["video"] and "data" in stream.describe()["outputs"]
    sessions = stream.sessions()
    async with AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(testing.connect(sessions, controls={"by": 20 * n}))
            for n in range(4)
        ]
        for number, peer in enumerate(peers):
            image = await peer.apply(PICTURE)
            assert abs(float(image.mean()) - 90 - 20 * number) < 4
            [box] = await peer.result()
            assert peer.session is not None and box["label"] == peer.session.id


async def test_of_an_instance() -> None:
    """A method of one instance is batched for all sessions: one model, its calls together."""

    class Detector:
        def __init__(self) -> None:
            self.batches: list[int] = []

        @batched(max_size=4)
        def __call__(self, images: list[Image]) -> list[Image]:
            self.batches.append(len(images))
            return images

    detector, other = Detector(), Detector()
    async with testing.connect(Stream(detector)) as peer:
        await peer.apply(PICTURE)
    assert detector.batches and not other.batches
    with pytest.raises(
        SignatureError, match=r"give the Stream an instance, `Stream\(Detector\(\)\)`"
    ):
        Stream(Detector)


async def test_a_session_that_ends_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch whose sessions leave while it runs, the others get theirs."""
    gate, entered = threading.Event(), threading.Event()

    @batched(max_size=4)
    def slow(images: list[Image]) -> list[Image]:
        entered.set()
        assert gate.wait(10)
        return images

    sessions = Stream(slow).sessions()
    async with testing.connect(sessions) as stays:
        async with testing.connect(sessions) as leaves:
            leaves.send(PICTURE)
            await until(entered.is_set)
            stays.send(PICTURE)
            await until(lambda: len(slow._waiting) == 1)
        gate.set()
        await stays.apply(PICTURE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_size": 0}, "max_size must be a whole number from 1 to 1024, not 0"),
        ({"max_size": True}, "not True"),
        ({"max_size": 2.5}, "not 2.5"),
        ({"max_delay": -1}, "max_delay must be seconds from 0 to 1, not -1"),
        ({"max_delay": float("nan")}, "not nan"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    """Options that cannot be are refused where they stand."""
    with pytest.raises(ValueError, match=words):
        batched(**options)


def test_wrong_functions() -> None:
    """What cannot be batched says so, with what to write instead."""

    async def later(images: list[Image]) -> list[Image]:
        return images

    with pytest.raises(TypeError, match="plain `def`"):
        batched(later)  # type: ignore[arg-type]

    @batched  # type: ignore[arg-type]
    def one(image: Image) -> Image:
        return image

    @batched
    def no_default(images: list[Image], level: Sequence[int] = ()) -> list[Image]:
        return images

    @batched
    def star(*images: Image) -> list[Image]:
        return list(images)

    for wrong, words in [
        (one, "parameter 'image': a batched function takes and returns lists"),
        (no_default, "parameter 'level': its default must be a sequence of one"),
        (star, "without `\\*`"),
    ]:
        with pytest.raises(SignatureError, match=words):
            Stream(wrong)
    with pytest.raises(SignatureError, match="drop isolation='process'"):
        Stream(brighter, isolation="process")
