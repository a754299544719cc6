"""The example background_blur: who is in front is seen, the room never is."""

import asyncio
import importlib.util
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rtcstream import File, testing
from rtcstream.examples import background_blur
from rtcstream.examples._models import Missing, Tell
from rtcstream.examples._people import INSTALL, SIDE, People, people, weights
from rtcstream.examples.background_blur import BackgroundBlur, fitted
from rtcstream.reporting import Reporter
from tests.onnx_files import FLOAT, Graph
from tests.photographs import (
    PERSON,
    ROOM,
    astronaut,
    heading,
    needs_people,
    part,
    sharpness,
)
from tests.pictures import difference, scene


def quiet(value: float, text: str = "") -> None:
    """No page is told of the progress."""


@needs_people
async def test_who_is_in_front_stays() -> None:
    """Face and chest of a portrait come back as they were; of the room, blurred a little or a lot,
    the fine structure is gone, and in colour all of it."""
    image = astronaut()
    async with testing.connect(background_blur.stream, timeout=20) as peer:
        for values, least in (
            ({}, 40),
            ({"strength": 1}, 6),
            ({"softness": 0}, 25),
            ({"behind": "green"}, 500),
        ):
            await peer.set(**{"behind": "blur", "strength": 5, "softness": 2, **values})
            shown = await peer.apply(image)
            for box in PERSON:
                before, now = part(image, box), part(shown, box)
                assert difference(now, before) < 14, values  # the codec's share is 7
                assert sharpness(now) > 0.6 * sharpness(before), values
            for box in ROOM:
                assert sharpness(part(image, box)) > least * sharpness(part(shown, box)), values


@needs_people
async def test_nobody_in_front() -> None:
    """Where nobody is, all of it is blurred: a printed line cannot be read."""
    image = heading()
    async with testing.connect(background_blur.stream, timeout=20) as peer:
        for strength in (1, 5, 10):
            await peer.set(strength=strength)
            shown = await peer.apply(image)
            assert sharpness(image) > 20 * sharpness(shown)


class Slow:
    """Finds nobody; not made before it may be, and fails when it is told to."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.fails = False

    def make(self, progress: Tell) -> Any:
        progress(0.2, "Reading the weights")
        assert self.may.wait(20)
        return self.find

    def find(self, image: Any) -> Any:
        if self.fails:
            raise RuntimeError("out of memory")
        return np.zeros((SIDE, SIDE), np.float32)


async def test_never_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it loads no picture is shown, and none of those that it fails on: what is shown is
    blurred from the first on."""
    slow, image = Slow(), astronaut()
    monkeypatch.setattr(people, "_make", slow.make)
    monkeypatch.setattr(people, "_made", [])
    async with testing.connect(background_blur.stream, timeout=20) as peer:
        assert (await peer.message("progress"))["text"] == "Reading the weights"
        for _ in range(5):
            peer.send(image)
            await asyncio.sleep(0.02)
        assert not peer.pictures
        slow.may.set()
        await peer.apply(image)
        slow.fails = True
        peer.send(image)
        log = await peer.message("log", level="error")
        assert "out of memory" in log["message"]
        slow.fails = False
        await peer.apply(image)
        assert len(peer.pictures) in (2, 3)  # the last of those while it loaded, perhaps
        for _, shown in peer.pictures:
            assert sharpness(image) > 60 * sharpness(shown)


@pytest.mark.parametrize("folders", [None, ["without"]])
async def test_without_weights(
    folders: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package, or with one that has no such file, a visitor is told in a sentence what
    to install; the server is ready all the same, and nothing is shown."""
    spec = ModuleSpec("mediapipe", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / each) for each in folders or []]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if folders else None)
    monkeypatch.setattr("sys.argv", ["example"])
    monkeypatch.setattr(people, "_made", [])
    sessions = background_blur.stream.sessions()
    async with testing.connect(sessions) as peer:
        log = await peer.message("log", level="error")
        assert "needs weights that find people" in log["message"] and INSTALL in log["message"]
        peer.send(scene())
        assert (await peer.message("end"))["reason"] == "load_failed"
        assert not peer.pictures
        assert sessions.runner.loaded
    await sessions.end_all("the server stopped")


@needs_people
def test_a_calm_edge() -> None:
    """Noise of the camera moves the edge half as much as the mask alone would have it, and what
    somebody has left is hidden at once."""
    blur, noise = BackgroundBlur(Reporter(quiet)), np.random.default_rng(1)
    calm, alone = [], []
    for _ in range(8):
        image = np.clip(astronaut() + noise.normal(0, 8, (480, 640, 3)), 0, 255).astype(np.uint8)
        mask = blur.find(image)
        alone.append(fitted(mask, image, 2))
        calm.append(fitted(blur.calmed(mask), image, 2))
    changes = [float(np.abs(np.diff(each[2:], axis=0)).mean()) for each in (alone, calm)]
    assert changes[1] < 0.6 * changes[0]
    moved = np.roll(astronaut(), 60, axis=1)
    mask = blur.find(moved)
    more = fitted(blur.calmed(mask), moved, 2) - fitted(mask, moved, 2)
    assert more.max() < 0.3


def network(path: Path, unit: float = 1.0, stride: int = 1) -> Path:
    """One that takes for somebody what is red."""
    graph = Graph()
    graph.node("Relu", graph.redness("image", stride, unit, 0), output="mask")
    side = SIDE // stride
    return graph.write(path, {"image": ([1, 3, SIDE, SIDE], FLOAT)}, {"mask": [1, 1, side, side]})


def test_a_network_of_yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--segmenter` names another one, which finds what it finds; one that gives no mask, or none
    of 0 to 1, says so."""
    path = network(tmp_path / "red.onnx")
    monkeypatch.setattr("sys.argv", ["background_blur", "--segmenter", str(path)])
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, 320:] = (0, 0, 255)
    mask = People(quiet)(image)
    assert mask.shape == (SIDE, SIDE)
    assert mask[:, : SIDE // 2].max() == 0 and mask[:, SIDE // 2 :].min() > 0.99
    network(path, stride=2)
    with pytest.raises(ValueError, match=r"red\.onnx gives \(1, 1, 128, 128\), not one mask"):
        People(quiet)
    network(path, unit=0.5)
    with pytest.raises(ValueError, match=r"red\.onnx gives 0 to 2, not 0 to 1"):
        People(quiet)(image)


@pytest.mark.parametrize("shape", [(2, 2), (480, 10), (16, 2000), (720, 1280)])
def test_pictures_of_any_shape(shape: tuple[int, int], tmp_path: Path) -> None:
    """However large or narrow they are, what is behind is as large, whatever it is."""
    other = np.full((100, 1, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "narrow.png"), other)
    file = File(tmp_path / "narrow.png", "narrow.png", 100)
    image = scene(shape[1], shape[0])
    mask = np.zeros((SIDE, SIDE), np.float32)
    person = fitted(mask, image, 10)
    assert person.shape == shape and person.max() == 0
    assert background_blur.blurred(image, person, 10).shape == image.shape
    covering = background_blur.covering(background_blur.read(file), image)
    assert covering.shape == image.shape and abs(covering.astype(int) - 90).max() < 3


@needs_people
def test_a_picture_of_yours(tmp_path: Path) -> None:
    """It is where the room was, read once, and the next one when that comes; what is no picture, or
    says that it is enormous, is refused in a sentence."""

    def upload(name: str, data: bytes) -> File:
        (tmp_path / name).write_bytes(data)
        return File(tmp_path / name, name, len(data))

    def picture(name: str, colour: tuple[int, int, int]) -> File:
        fine, data = cv2.imencode(Path(name).suffix, np.full((90, 160, 3), colour, np.uint8))
        assert fine
        return upload(name, data.tobytes())

    blur = BackgroundBlur(Reporter(quiet))
    for name, colour in (("a.jpg", (200, 100, 50)), ("b.png", (0, 0, 0)), ("c.webp", (9, 99, 9))):
        file = picture(name, colour)
        for _ in range(2):
            shown = blur(astronaut(), picture=file)
            for box in ROOM:
                assert np.abs(part(shown, box).astype(int) - colour).max() < 6
            file.path.unlink(missing_ok=True)
    huge = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    huge = huge[:16] + (30000).to_bytes(4, "big") * 2 + huge[24:]
    for file in (upload("no.txt", b"#EXTM3U\n"), upload("none", b""), upload("huge.png", huge)):
        with pytest.raises(ValueError, match=f"{file.name} is no picture that can be used"):
            blur(astronaut(), picture=file)


def test_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found in the package's folder, of which nothing is run."""
    monkeypatch.setattr("sys.argv", ["example"])
    file = tmp_path / "mediapipe" / "modules" / "selfie_segmentation" / "selfie_segmentation.tflite"
    file.parent.mkdir(parents=True)
    (tmp_path / "mediapipe" / "__init__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Missing):
        weights()
    file.write_bytes(b"")
    assert weights() == file
