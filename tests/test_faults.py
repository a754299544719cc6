"""Functions that raise, return nonsense, hang or exit: the session lives and says what happened."""

import asyncio
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from rtcstream import Image, Stream, session, testing
from rtcstream.outbox import Outbox
from tests.pictures import difference, plain, scene

MARK = (40, 200, 40)  # what every function here paints over the camera's picture


def shown_are_marked(peer: testing.TestPeer) -> bool:
    """Whether every picture that came back is the function's, and none the camera's."""
    return all(difference(picture, plain(MARK)) < 20 for _, picture in peer.pictures)


async def send_while(peer: testing.TestPeer, count: int) -> None:
    """Send pictures at the pace of a camera."""
    for _ in range(count):
        peer.send(scene())
        await asyncio.sleep(1 / 60)


async def test_raising_loses_that_frame_only() -> None:
    """A function that raises on every third frame shows the others, and says so once, counted."""
    calls = 0

    def f(image: Image) -> Image:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise ValueError("no luck")
        return plain(MARK)

    async with testing.connect(Stream(f)) as peer:
        await send_while(peer, 60)
        log = await peer.message("log")
        repeated = await peer.message("log")
        await peer.apply(scene()) if calls % 3 != 2 else None
        assert shown_are_marked(peer)
        assert len(peer.pictures) >= calls // 2
    assert log["level"] == "error"
    assert log["message"].startswith("f() raised ValueError: no luck (test_faults.py, line ")
    assert (log["count"], log["message"]) == (1, repeated["message"])
    assert repeated["count"] > 1


@pytest.mark.parametrize(
    ("nonsense", "words"),
    [
        (None, "None"),
        ("a picture", "numpy array"),
        (np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)"),
        (np.zeros((4,), np.uint8), "(4,)"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.full((4, 4, 3), np.nan), "0..1"),
        (np.full((4, 4, 3), 255.0), "0..1"),
        (np.zeros((0, 4, 3), np.uint8), "pixels"),
        (plain(MARK, 1, 1), "pixels"),
        ((plain(MARK), 1), "tuple"),
        (lambda: None, "numpy array"),
    ],
)
async def test_nonsense_is_named_and_never_shown(nonsense: Any, words: str) -> None:
    """What is no image is reported in words, and the next image is shown."""
    answers = [nonsense, plain(MARK)]

    def f(image: Image) -> Image:
        return answers.pop(0)  # type: ignore[no-any-return]

    async with testing.connect(Stream(f)) as peer:
        peer.send(scene())
        log = await peer.message("log")
        await peer.apply(scene())
        assert shown_are_marked(peer)
    assert log["level"] == "error"
    assert words in log["message"]


@pytest.mark.parametrize("nonsense", [None, 1, (plain(MARK),), (1, plain(MARK)), [plain(MARK), 1]])
async def test_wrong_tuple_is_named(nonsense: Any) -> None:
    """A promised tuple that is something else is reported, and the session goes on."""
    answers = [nonsense, (plain(MARK), 1)]

    def f(image: Image) -> tuple[Image, int]:
        return answers.pop(0)  # type: ignore[no-any-return]

    async with testing.connect(Stream(f)) as peer:
        peer.send(scene())
        assert (await peer.message("log"))["level"] == "error"
        await peer.apply(scene())
        assert shown_are_marked(peer)


async def test_result_that_cannot_be_sent_is_named() -> None:
    """A result that JSON cannot say, or that is too large, is an error that says where."""
    answers: list[Any] = [{"a": [1, float("nan")]}, {"b": object()}, "x" * 70_000, "fine"]

    def f(image: Image) -> dict[str, Any]:
        return answers.pop(0)  # type: ignore[no-any-return]

    async with testing.connect(Stream(f)) as peer:
        for words in ("['a'][1] is nan", "['b'] is of type object", "65536"):
            peer.send(scene())
            assert words in (await peer.message("log"))["message"]
        peer.send(scene())
        assert await peer.result() == "fine"


async def test_exit_in_a_function_ends_nothing() -> None:
    """`sys.exit()` in a function loses one frame, like any other error."""
    first = True

    def f(image: Image) -> Image:
        nonlocal first
        if first:
            first = False
            sys.exit("no")
        return plain(MARK)

    async with testing.connect(Stream(f)) as peer:
        peer.send(scene())
        assert "SystemExit" in (await peer.message("log"))["message"]
        await peer.apply(scene())


async def test_class_that_cannot_be_built_is_reported() -> None:
    """A constructor that raises is told to the page, and so is the end: it showed nothing."""

    class Model:
        def __init__(self) -> None:
            raise RuntimeError("the weights are missing")

        def __call__(self, image: Image) -> Image:
            return image

    async with testing.connect(Stream(Model)) as peer:
        assert "the weights are missing" in (await peer.message("log"))["message"]
        assert (await peer.message("end"))["reason"] == "load_failed"
        assert not peer.pictures
        assert {m["value"] for m in peer.messages if m["type"] == "state"} == {"waiting", "loading"}
        assert peer.session is not None
        await asyncio.wait_for(peer.session.closed.wait(), 2)


async def test_close_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A `close()` that raises harms nothing and is in the log."""

    class Model:
        def __call__(self, image: Image) -> Image:
            return image

        def close(self) -> None:
            raise RuntimeError("stuck")

    async with testing.connect(Stream(Model)) as peer:
        await peer.apply(scene())
    async with asyncio.timeout(5):
        while "stuck" not in caplog.text:  # noqa: ASYNC110 - the log has no event
            await asyncio.sleep(0.01)


async def test_function_that_never_returns() -> None:
    """A function that hangs is reported, harms no other session, and ends with its own."""
    release = threading.Event()

    def stuck(image: Image) -> Image:
        if image[0, 0, 2] > 128:
            release.wait()
        return plain(MARK)

    sessions = Stream(stuck, hang_timeout=0.5).sessions()
    async with testing.connect(sessions) as other, testing.connect(sessions) as peer:
        await peer.apply(scene(seed=2) // 2)
        peer.send(plain((0, 0, 255)))
        log = await peer.message("log")
        assert "stuck() has not returned for 0.5 seconds" in log["message"]
        await peer.message("stats")
        await peer.message("stats")
        assert not [m for m in peer.messages if m["type"] == "log"], "once for each hang"
        assert sessions.runner.faults.hangs == 1
        await other.apply(scene() // 2)
        assert await peer.set() == {}
        assert shown_are_marked(peer)
        assert peer.session is not None
        started = time.monotonic()
        await peer.session.end("enough")
        assert time.monotonic() - started < 2
        await other.apply(scene() // 2)
    release.set()


async def test_a_function_that_may_take_its_time() -> None:
    """With `hang_timeout=None` no call is reported, however long it takes."""
    release = threading.Event()

    def stuck(image: Image) -> Image:
        release.wait(10)
        return plain(MARK)

    sessions = Stream(stuck, hang_timeout=None).sessions()
    async with testing.connect(sessions) as peer:
        peer.send(scene())
        for _ in range(3):
            await peer.message("stats")
        assert not [m for m in peer.messages if m["type"] == "log"]
        release.set()
    assert sessions.runner.faults.hangs == 0


async def test_coroutine_is_cancelled_at_the_end() -> None:
    """An `async def` that still waits when the session ends is cancelled there."""
    cancelled = asyncio.Event()
    entered = asyncio.Event()

    async def wait(image: Image) -> Image:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return image

    async with testing.connect(Stream(wait)) as peer:
        peer.send(scene())
        await asyncio.wait_for(entered.wait(), 5)
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_first_picture_shown_is_processed() -> None:
    """Nothing unprocessed is shown while a model loads: the first picture is the function's."""
    loaded = threading.Event()

    class Slow:
        def __init__(self) -> None:
            loaded.wait(5)

        def __call__(self, image: Image) -> Image:
            return plain(MARK)

    async with testing.connect(Stream(Slow)) as peer:
        await send_while(peer, 20)
        assert not peer.pictures
        loaded.set()
        await peer.apply(scene())
        assert shown_are_marked(peer)


async def test_messages_that_the_page_does_not_take() -> None:
    """When more is said than can be sent, the page is told how much of it was given up."""

    def f(image: Image) -> Image:
        return image

    async with testing.connect(Stream(f)) as peer:
        visitor = peer.session
        assert visitor is not None
        for number in range(Outbox.LIMIT + 100):  # all before the event loop can send one
            visitor.send(number)
        dropped = visitor._outbox.dropped
        assert dropped >= 100
        log = await peer.message("log")
        assert (log["level"], log["message"], log["count"]) == (
            "warning",
            session.TOO_MUCH,
            dropped,
        )
        while (stats := await peer.message("stats"))["messages_dropped"] == 0:
            pass
        assert stats["messages_dropped"] == dropped
        await peer.message("stats")
        logs = [m for m in peer.messages if m["type"] == "log"]
    assert logs == [], "told once"
