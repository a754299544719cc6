"""The examples with models in a real browser, whose camera sees a real photograph."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.async_api import Page, expect

from rtcstream.examples import (
    background_blur,
    detect_in_file,
    face_blur,
    object_detection,
    read_text,
    track_object,
)
from tests.browser import Pages, Setup
from tests.conftest import Serve
from tests.footage import Watch, heard, start, stop, until, visit
from tests.photographs import (
    FACE,
    HEADING,
    PERSON,
    ROOM,
    SAYS,
    astronaut,
    detail,
    heading,
    is_near,
    needs_faces,
    needs_people,
    needs_text,
    part,
    sharpness,
    write_still,
)


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera that sees a photograph of a face."""
    return write_still(astronaut(), tmp_path_factory.mktemp("camera") / "portrait.y4m")


@pytest.fixture(scope="session")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera that sees a line of print."""
    return write_still(heading(), tmp_path_factory.mktemp("camera") / "printed.y4m")


async def results(page: Page, count: int, condition: str = "true") -> list[Any]:
    """The data of the last results, once there are so many of which a condition on `data` holds."""
    fits = f"heard.filter(({{ type, data }}) => type === 'result' && {condition})"
    await until(page, f"{fits}.length >= {count}", 20)
    return [message["data"] for message in await heard(page, "result")][-count:]


@needs_faces
async def test_a_face_is_found(serve: Serve, pages: Pages, portrait: Path) -> None:
    """The camera's face is found, and the page draws a box around it, within a tenth of its
    size."""
    async with serve(object_detection.stream) as url:
        page = await visit(pages, url, setup=Setup(camera=portrait))
        await start(page)
        for boxes in await results(page, 5, "data.length === 1"):
            assert [box["label"] for box in boxes] == ["face"]
            assert is_near(boxes[0], FACE)
        await expect(page.locator(".legend")).to_contain_text("face")
        await page.get_by_label("Confidence, at least").press("End")
        await results(page, 1, "data.length === 0")
        await stop(page)


@needs_faces
async def test_a_face_is_hidden(serve: Serve, pages: Pages, portrait: Path) -> None:
    """From the first picture on that the page shows, nothing of the face can be made out."""
    async with serve(face_blur.stream) as url:
        page = await visit(pages, url, setup=Setup(camera=portrait))
        watch = await Watch.on(page, size=(640, 480))
        await start(page)
        frames = await watch.at_least(20)
        assert max(detail(frame.picture) for frame in frames) < 0.4 * detail(astronaut())
        shown = frames[-1].picture
        assert float(np.abs(shown[300:].astype(int) - astronaut()[300:]).mean()) < 20
        await stop(page)


@needs_people
async def test_the_room_is_hidden(serve: Serve, pages: Pages, portrait: Path) -> None:
    """From the first picture on the room behind is blurred; whoever is in front of it is sharp."""
    image = astronaut()
    async with serve(background_blur.stream) as url:
        page = await visit(pages, url, setup=Setup(camera=portrait))
        watch = await Watch.on(page, size=(640, 480))
        await start(page)
        frames = await watch.at_least(40)
        for box in ROOM:
            sharpest = max(sharpness(part(frame.picture, box)) for frame in frames)
            assert sharpness(part(image, box)) > 15 * sharpest
        for box in PERSON:
            shown, before = part(frames[-1].picture, box), part(image, box)
            assert sharpness(shown) > 0.5 * sharpness(before)
        await stop(page)


@needs_text
async def test_text_is_read(serve: Serve, pages: Pages, printed: Path) -> None:
    """What is printed is read, and drawn over the camera's own picture."""
    async with serve(read_text.stream) as url:
        page = await visit(pages, url, setup=Setup(camera=printed))
        await page.click("#start")
        [[line]] = await results(page, 1, "data.length")
        assert line["label"].replace(" ", "") == SAYS.replace(" ", "")
        assert is_near(line, HEADING, 0.2)
        await stop(page)


async def test_what_is_pointed_at_is_followed(serve: Serve, pages: Pages) -> None:
    """A click on the picture says what to follow, and its likeness is plotted."""
    async with serve(track_object.stream) as url:
        page = await visit(pages, url)
        await start(page)
        await results(page, 1, "data[0]?.text === 'Point at what is to be followed'")
        box = await page.locator("#output").bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        found = await results(page, 5, "data[0]?.label === 'target'")
        targets = [data[0] for data in found if isinstance(data, list) and "label" in data[0]]
        assert targets and all(0 <= each["x"] <= 592 for each in targets)
        await expect(page.locator("#results canvas.chart")).to_be_visible()
        await stop(page)


@needs_faces
async def test_a_film_is_uploaded(serve: Serve, pages: Pages, tmp_path: Path) -> None:
    """Of a film that is uploaded each picture is looked at, with a bar of how far it is, and the
    boxes are drawn."""
    path = tmp_path / "portrait.mp4"
    with av.open(path, "w") as film:
        video = film.add_stream("libx264", rate=20, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 640, 480, "yuv420p"
        for _ in range(10):
            film.mux(video.encode(av.VideoFrame.from_ndarray(astronaut(), format="bgr24")))
        film.mux(video.encode(None))
    async with serve(detect_in_file.stream) as url:
        page = await visit(pages, url)
        await page.locator('[data-control="video"] input').set_input_files(path)
        await page.click("#start")
        await results(page, 1, "data === '10 found in 10 pictures'")
        boxes = [m["data"] for m in await heard(page, "result") if isinstance(m["data"], list)]
        faces = [each[0] for each in boxes if "label" in each[0]]
        assert faces and all(is_near(face, FACE) for face in faces)
        told = [m["value"] for m in await heard(page, "progress")]
        assert told[-1] == 1 and len(told) > 1
        await stop(page)
