"""A function on a real peer connection, both peers in this process."""

import asyncio
import enum
import threading
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import av
import cv2
import numpy as np
import pytest

from rtcstream import Box, Image, Label, Range, ResultError, RGBImage, Session, Stream, testing
from tests.pictures import difference, plain, scene

RED, GREEN = (40, 40, 200), (40, 200, 40)


async def test_picture_goes_through_the_function_and_back() -> None:
    """What comes back is what the function made of the picture."""

    def flip(image: Image) -> Image:
        return image[::-1]

    async with testing.connect(Stream(flip)) as peer:
        back = await peer.apply(scene())
    assert difference(back, scene()[::-1]) < 8 < difference(back, scene())


def test_run_needs_no_event_loop() -> None:
    """`testing.run` sends pictures through a stream one by one from plain code."""

    def negative(image: Image, on: bool = True) -> Image:
        return 255 - image if on else image

    first, second = testing.run(Stream(negative), [plain(RED), plain(GREEN)], on=True)
    assert difference(first, 255 - plain(RED)) < 8
    assert difference(second, 255 - plain(GREEN)) < 8


async def test_unannotated_function_is_plain_video() -> None:
    """A function without annotations takes and returns BGR pictures."""

    def f(frame):  # type: ignore[no-untyped-def]
        return frame[:, ::-1]

    async with testing.connect(Stream(f)) as peer:
        assert difference(await peer.apply(scene()), scene()[:, ::-1]) < 8


async def test_rgb_image_has_red_first() -> None:
    """An RGBImage is given and taken with red first."""
    seen = []

    def f(image: RGBImage) -> RGBImage:
        seen.append(image[0, 0].copy())
        return image

    async with testing.connect(Stream(f)) as peer:
        back = await peer.apply(plain(RED))
    assert seen[0][0] > 150 > seen[0][2]
    assert difference(back, plain(RED)) < 8


async def test_raw_frames_pass_without_conversion() -> None:
    """An av.VideoFrame annotation gives the decoder's frame, and takes one of any pixel format."""
    formats = []

    def f(frame: av.VideoFrame) -> av.VideoFrame:
        formats.append(frame.format.name)
        return av.VideoFrame.from_ndarray(plain(GREEN), format="bgr24")

    async with testing.connect(Stream(f)) as peer:
        assert difference(await peer.apply(plain(RED)), plain(GREEN)) < 8
    assert formats == ["yuv420p"]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (480, 640, 3)),
        (lambda image: image.astype(np.float32) / 255, (480, 640, 3)),
        (lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]), (480, 640, 3)),
        (lambda image: image[:77, :101], (77, 101, 3)),
        (lambda image: cv2.resize(image, (320, 200)), (200, 320, 3)),
        (lambda image: cv2.resize(image, (1920, 1080)), (1080, 1920, 3)),
        (lambda image: image.mean(axis=2) > 128, (480, 640, 3)),
    ],
    ids=["grey", "float", "alpha", "odd", "smaller", "larger", "mask"],
)
async def test_returned_forms(make: Any, shape: tuple[int, ...]) -> None:
    """Grey, float, RGBA, masks, odd and other sizes all come back as what they show."""

    def f(image: Image) -> Image:
        return make(image)  # type: ignore[no-any-return]

    async with testing.connect(Stream(f)) as peer:
        back = await peer.apply(scene())
    assert back.shape == shape


async def test_size_may_change_with_every_picture() -> None:
    """Pictures of changing sizes follow each other in one session."""
    sizes = [(64, 48), (101, 77), (640, 480), (320, 240)]
    calls = iter(sizes)

    def f(image: Image) -> Image:
        width, height = next(calls)
        return plain(GREEN, width, height)

    async with testing.connect(Stream(f)) as peer:
        shapes = [(await peer.apply(scene())).shape for _ in sizes]
    assert shapes == [(height, width, 3) for width, height in sizes]


async def test_none_keeps_the_last_picture() -> None:
    """`Image | None`: None sends nothing, and is no error."""

    def f(image: Image) -> Image | None:
        return None if image[0, 0, 2] > 128 else image

    async with testing.connect(Stream(f)) as peer:
        await peer.apply(plain(GREEN))
        peer.send(plain(RED))
        await peer.apply(plain(GREEN))
        assert len(peer.pictures) == 2
        assert not [m for m in peer.messages if m["type"] == "log"]


async def test_results_carry_their_frames_timestamp() -> None:
    """Every result's `pts` is the RTP timestamp of the frame that it was made from."""

    @dataclass
    class Found:
        brightness: np.float64
        box: Box

    def f(
        image: Image,
    ) -> tuple[Image, Found, Annotated[int, Label("width")], str | None]:
        return image, Found(image.mean(), Box(1, 2, 3, 4, "cat", 0.5)), image.shape[1], None

    async with testing.connect(Stream(f)) as peer:
        pts = peer.send(plain(RED))
        first = await peer.message("result")
        second = await peer.message("result")
    box = {"x": 1, "y": 2, "width": 3, "height": 4, "label": "cat", "score": 0.5}
    assert first["pts"] == second["pts"] == pts
    assert first["data"]["box"] == {**box, "frame": [640, 480]}
    assert first["data"]["brightness"] == pytest.approx(93, abs=8)
    assert (second["name"], second["data"]) == ("width", 640)


async def test_send_only_function_returns_results_alone() -> None:
    """`-> T` sends results and no video back."""

    def brightness(image: Image) -> float:
        return float(image.mean())

    async with testing.connect(Stream(brightness)) as peer:
        pts = peer.send(plain((100, 100, 100)))
        result = await peer.message("result")
        assert result["data"] == pytest.approx(100, abs=5)
        assert result["pts"] == pts
        assert not peer.pictures
        assert peer.session is not None
        assert "sendrecv" not in peer.session._connection.localDescription.sdp


async def test_newest_frame_wins() -> None:
    """A slow function skips frames, so that what it shows is never older than its own work."""

    def slow(image: Image) -> Image:
        time.sleep(0.1)
        return image

    async with testing.connect(Stream(slow)) as peer:
        await peer.apply(scene())
        sent: dict[int, int] = {}
        for number in range(60):
            sent[peer.send(scene())] = number
            await asyncio.sleep(1 / 60)
        lags = [max(sent.values()) - sent[at] for at, _ in list(peer.pictures)[-1:]]
        stats = await peer.message("stats")
    assert lags[0] <= 30, "the last picture to arrive is of the last half second"
    assert 3 <= len(peer.pictures) <= 20
    assert stats["dropped"] > 3


async def test_controls_first_values_and_changes() -> None:
    """First values come with the query; a `set` is acknowledged and holds for the next frame."""

    class Colour(enum.Enum):
        RED = RED
        GREEN = GREEN

    seen: list[Any] = []

    def f(image: Image, colour: Colour = Colour.GREEN, level: float = 0.5) -> Image:
        seen.append((colour, level))
        return plain(colour.value)

    async with testing.connect(Stream(f), controls={"colour": "RED", "level": 0.25}) as peer:
        assert difference(await peer.apply(scene()), plain(RED)) < 8
        assert await peer.set(colour="GREEN") == {"colour": "GREEN", "level": 0.25}
        assert difference(await peer.apply(scene()), plain(GREEN)) < 8
    assert seen == [(Colour.RED, 0.25), (Colour.GREEN, 0.25)]


@pytest.mark.parametrize(
    ("text", "seq", "control", "words"),
    [
        ('{"type":"set","seq":5,"values":{"level":21}}', 5, "level", "from 1 to 20"),
        ('{"type":"set","seq":5,"values":{"level":true}}', 5, "level", "whole number"),
        ('{"type":"set","seq":5,"values":{"level":1e999}}', None, None, "too large"),
        ('{"type":"set","seq":5,"values":{"level":NaN}}', None, None, "NaN"),
        ('{"type":"set","seq":5,"values":{"mode":"x"}}', 5, "mode", "one of a, b"),
        ('{"type":"set","seq":5,"values":{"nothing":1}}', 5, "nothing", "no control"),
        ('{"type":"set","seq":5,"values":{"mode":"b","level":0}}', 5, "level", "from 1 to 20"),
        ('{"type":"set","values":{"level":2}}', None, None, "seq"),
        ('{"type":"set","seq":5,"values":[1]}', 5, None, "values"),
        ("[]", None, None, "object"),
        ("not json", None, None, "JSON"),
        ("", None, None, "JSON"),
        ('{"type":"jump"}', None, None, "jump"),
        (b"\x00\x01", None, None, "binary"),
        ('{"type":"data","data":"' + "x" * 70_000 + '"}', None, None, "65536"),
        ("[" * 50_000, None, None, "JSON"),
    ],
)
async def test_bad_messages_change_nothing(
    text: str | bytes, seq: int | None, control: str | None, words: str
) -> None:
    """Anything malformed gets an `error`, nothing changes, and the session goes on."""

    def f(
        image: Image, mode: Literal["a", "b"] = "a", level: Annotated[int, Range(1, 20)] = 3
    ) -> Image:
        return image

    async with testing.connect(Stream(f)) as peer:
        peer.send_text(text)
        error = await peer.message("error")
        assert (error["seq"], error["control"]) == (seq, control)
        assert words in error["message"]
        assert await peer.set() == {"mode": "a", "level": 3}
        await peer.apply(scene())


async def test_older_set_is_overtaken() -> None:
    """A `set` with a lower number than the last of that control does not apply."""

    def f(image: Image, a: int = 0, b: int = 0) -> Image:
        return image

    async with testing.connect(Stream(f)) as peer:
        peer.send_text('{"type":"set","seq":10,"values":{"a":1}}')
        peer.send_text('{"type":"set","seq":9,"values":{"a":2,"b":2}}')
        reply = await peer.message("controls", seq=9)
    assert reply["values"] == {"a": 1, "b": 2}


async def test_plain_function_never_runs_on_the_event_loop() -> None:
    """A plain function has a daemon thread of its session; `async def` runs on the loop."""
    threads: list[threading.Thread] = []

    def plain_one(image: Image) -> Image:
        threads.append(threading.current_thread())
        return image

    async def async_one(image: Image) -> Image:
        await asyncio.sleep(0)
        threads.append(threading.current_thread())
        return image

    for function in (plain_one, async_one):
        async with testing.connect(Stream(function)) as peer:
            await peer.apply(scene())
    assert threads[0].daemon
    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()


async def test_session_is_injected() -> None:
    """A `Session` parameter can keep state, send, receive, report and close."""

    def f(image: Image, session: Session) -> Image:
        count = session.state["count"] = session.state.get("count", 0) + 1
        session.progress(0.5, "half")
        session.send({"id": session.id, "count": count, "got": session.receive()})
        session.info("hello")
        with pytest.raises(ResultError, match="data"):
            session.send({1, 2})
        if count == 2:
            session.close("that was all")
        return image

    async with testing.connect(Stream(f)) as peer:
        assert peer.session is not None
        peer.send_text('{"type":"data","data":[1,2]}')
        await peer.set()
        await peer.apply(scene())
        data = (await peer.message("data"))["data"]
        assert data == {"id": peer.session.id, "count": 1, "got": [[1, 2]]}
        assert (await peer.message("progress"))["value"] == 0.5
        assert (await peer.message("log"))["message"] == "hello"
        peer.send(scene())
        assert (await peer.message("end"))["reason"] == "that was all"
        await asyncio.wait_for(peer.session.closed.wait(), 5)


async def test_max_fps_bounds_the_calls() -> None:
    """`max_fps` calls the function at most that often."""

    def f(image: Image) -> Image:
        return image

    async with testing.connect(Stream(f, max_fps=5)) as peer:
        await peer.apply(scene())
        before, began = len(peer.pictures), time.monotonic()
        for _ in range(60):
            peer.send(scene())
            await asyncio.sleep(1 / 60)
        took = time.monotonic() - began  # longer than a second, where much else runs
        assert 3 <= len(peer.pictures) - before <= 5 * took + 3


async def test_stages_of_a_picture_are_told() -> None:
    """Statistics tell the page and the function how long each stage of the way took."""
    told: list[dict[str, Any]] = []

    def slow(image: Image, session: Session) -> Image:
        time.sleep(0.02)
        told.append(session.stats())
        return image

    async with testing.connect(Stream(slow)) as peer:
        assert peer.session is not None and peer.session.stats() == {}
        for _ in range(5):
            await peer.apply(scene())
        stages = (await peer.message("stats"))["stages"]
        await peer.apply(scene())
    assert list(stages) == [
        *("decode", "wait", "function", "wait_encoder", "encode", "send", "total")
    ]
    assert 20 <= stages["function"][0] <= stages["function"][1]
    assert all(0 <= p50 <= p95 for p50, p95 in stages.values())
    assert stages["total"][1] >= stages["function"][1]
    assert told[-1]["stages"].keys() == stages.keys()
