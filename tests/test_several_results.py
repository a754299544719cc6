"""Several results of one call, without a picture: each of its own, and all of the same frame."""

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np

from rtcstream import Box, Image, Label, Samples, Stream, batched, testing
from tests.pictures import plain
from tests.sounds import tone
from tests.waiting import until

RED = (0, 0, 255)


async def told(stream: Stream, frame: bool = True, count: int = 2) -> list[Any]:
    """Name and data of each of the first results; of a frame that is sent, they carry its pts."""
    async with testing.connect(stream) as peer:
        pts = peer.send(plain(RED)) if frame else None
        messages = [await peer.message("result") for _ in range(count)]
        assert {each["pts"] for each in messages} == {pts}
    return [(each["name"], each["data"]) for each in messages]


async def test_each_member_of_a_tuple_is_a_result() -> None:
    """`-> tuple[list[Box], str]` gives two results of the frame that they were found in."""

    def f(image: Image) -> tuple[list[Box], Annotated[str, Label("words")]]:
        return [Box(1, 2, 3, 4, "cat")], "a cat"

    [(first, boxes), second] = await told(Stream(f))
    assert first == "result 1" and second == ("words", "a cat")
    assert boxes[0]["frame"] == [640, 480], "it is drawn in the picture's own pixels"


async def test_each_member_of_a_batched_tuple_is_a_result() -> None:
    """And so it is where the function is called for several sessions at once."""

    @batched
    def f(images: list[Image]) -> list[tuple[int, str]]:
        return [(1, "one") for _ in images]

    assert await told(Stream(f)) == [("result 1", 1), ("result 2", "one")]


async def test_each_member_that_is_yielded_is_a_result() -> None:
    """`Iterator[tuple[str, int]]` does the same, though `tuple[int, Samples]` is one sound."""

    def counting() -> Iterator[tuple[str, int]]:
        yield "one", 1

    def sounding() -> Iterator[tuple[tuple[int, Samples], str, int]]:
        yield (16_000, tone(440, 0.2, 16_000)), "one", 1

    expected = [("result 1", "one"), ("result 2", 1)]
    assert await told(Stream(counting), frame=False) == expected
    async with testing.connect(Stream(sounding)) as peer:
        messages = [await peer.message("result") for _ in range(2)]
        assert [(each["name"], each["data"]) for each in messages] == expected
        assert np.abs(await peer.hear(0.1)).max() > 0.1


class Place(NamedTuple):
    x: float
    y: float


async def test_a_named_tuple_is_one_result() -> None:
    """What belongs together is a NamedTuple, or has one label."""

    def named(image: Image) -> Place:
        return Place(1, 2)

    def labelled(image: Image) -> Annotated[tuple[float, float], Label("place")]:
        return 1.0, 2.0

    assert await told(Stream(named), count=1) == [(None, {"x": 1.0, "y": 2.0})]
    assert await told(Stream(labelled), count=1) == [("place", [1.0, 2.0])]


async def test_nothing_new_in_all_of_them() -> None:
    """`-> tuple[...] | None` may say nothing; a tuple of another length is an error."""
    given: list[Any] = [None, ("too few",), ("two", 2)]

    def f(image: Image) -> tuple[str, int] | None:
        found: tuple[str, int] | None = given.pop(0)
        return found

    async with testing.connect(Stream(f)) as peer:
        peer.send(plain(RED))
        await until(lambda: len(given) == 2)
        peer.send(plain(RED))
        error = await peer.message("log", level="error")
        peer.send(plain(RED))
        assert (await peer.message("result"))["data"] == "two"
    assert error["message"] == (
        "f(): it returned a tuple of 1, but its signature promises a tuple of 2 results"
    )
