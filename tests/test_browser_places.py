"""Places in the picture and files, as visitors give them to controls."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.async_api import Page, Request, expect

from rtcstream import File, Image, Point, Session, Stream
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import start, stop, visit
from tests.waiting import until


async def place_of(page: Page, selector: str, x: float, y: float) -> tuple[float, float]:
    """A place of an element, in pixels of the page."""
    box = await page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


async def test_pointing_at_the_picture(serve: Serve, pages: Pages) -> None:
    """A click on either picture, mirrored or not, a drag and the keys are the function's very next
    value, and are marked; what is cleared is None again."""
    found: list[Point | None] = []

    def mark(image: Image, target: Point | None = None, other: Point = Point(0.5, 0.5)) -> Image:
        found.append(target)
        if target is not None:
            x, y = target.pixel(image)
            image[max(y - 20, 0) : y + 20, max(x - 20, 0) : x + 20] = (0, 0, 255)
        return image

    async def pointed(x: float, y: float) -> None:
        await until(
            lambda: (
                found[-1] is not None and np.allclose((found[-1].x, found[-1].y), (x, y), atol=0.01)
            )
        )

    async with serve(Stream(mark)) as url:
        page = await visit(pages, url + "?other=0.25,0.75")
        await expect(page.locator('[data-control="other"] output')).to_have_text(
            "25% across, 75% down"
        )
        await start(page)
        await page.locator('[data-control="target"] input').first.focus()
        await page.mouse.click(*await place_of(page, "#output", 0.2, 0.3))
        await pointed(0.2, 0.3)
        await expect(page.locator('[data-control="target"] output')).to_have_text(
            "20% across, 30% down"
        )
        markers = page.locator(".screen-output .marker")
        await expect(markers).to_be_visible()
        await page.mouse.move(*await place_of(page, "#output", 0.5, 0.5))
        await page.mouse.down()
        await page.mouse.move(*await place_of(page, "#output", 0.6, 0.9))
        await pointed(0.6, 0.9)
        await page.mouse.up()
        await page.mouse.move(*await place_of(page, "#output", 0.1, 0.1))
        await page.click("#mirror")
        await page.mouse.click(*await place_of(page, "#output", 0.2, 0.3))
        await pointed(0.8, 0.3)
        await page.locator('[data-control="target"] input').nth(1).focus()
        await page.keyboard.press("End")
        await pointed(0.8, 1.0)
        await page.locator('[data-control="target"] .clear').click()
        await until(lambda: found[-1] is None)
        await expect(markers).to_be_hidden()
        await stop(page)


async def drop(page: Page, path: Path, selector: str) -> None:
    """Drop a file of the desktop on an element."""
    await page.locator(selector).scroll_into_view_if_needed()
    x, y = await place_of(page, selector, 0.3, 0.5)
    session = await page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await session.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})


def large(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)


BESIDE = """() => {
  const [title, volume] = ["title", "volume"].map((id) => document.getElementById(id));
  const file = new DataTransfer();
  file.items.add(new File(["a"], "a.txt"));
  const drop = (dataTransfer, to) =>
    to.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
  const files = [title, title.firstChild, volume].map((to) => drop(file, to));
  return [...files, drop(new DataTransfer(), title)];
}"""
"""Whether the browser is left to do what it does with a file that is dropped on the title, on its
text and on a slider; and with a text that is."""


async def test_a_file_is_uploaded(serve: Serve, pages: Pages, tmp_path: Path) -> None:
    """A file that is chosen before the start goes up with it, one that is chosen later at once;
    one that is too large is told of; what is cleared is None again. It can be dropped on its field,
    and beside it does not take the page's place."""
    seen: list[tuple[str, bytes] | None] = []

    def read(image: Image, session: Session, clip: File | None = None) -> Image:
        seen.append(None if clip is None else (clip.name, clip.path.read_bytes()[:10]))
        return image

    pages.expect_error("/file/clip/.*status of 409")  # while the server has yet to notice an end
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    large(tmp_path / "large.bin", 101 << 20)
    large(tmp_path / "large100.bin", 99 << 20)
    async with serve(Stream(read)) as url:
        page = await visit(pages, url)
        chooser = page.locator('[data-control="clip"] input')
        message = page.locator('[data-control="clip"] .control-message')
        shown = page.locator('[data-control="clip"] output')
        async with page.expect_file_chooser() as keys:
            await chooser.press("Enter")
        await (await keys.value).set_files(tmp_path / "two.txt")
        await expect(shown).to_have_text("two.txt 7 bytes")
        await page.get_by_role("button", name="Remove").click()
        await expect(shown).to_have_text("Choose a file, or drop it here")
        await expect(message).to_have_text("")
        await chooser.set_input_files(tmp_path / "one.txt")
        await expect(message).to_have_text("It is uploaded when the session starts.")
        await expect(shown).to_have_text("one.txt 7 bytes")
        await start(page)
        await until(lambda: seen[-1] == ("one.txt", b"one.txt"))
        await expect(message).to_have_text("")
        await expect(page.locator('[data-control="clip"] output')).to_have_text("one.txt 7 bytes")
        await chooser.set_input_files(tmp_path / "two.txt")
        await until(lambda: seen[-1] == ("two.txt", b"two.txt"))
        await chooser.set_input_files(tmp_path / "large.bin")
        await expect(message).to_have_text("large.bin has 106 MB: at most 105 MB are taken.")
        await page.locator('[data-control="clip"] .clear').click()
        await until(lambda: seen[-1] is None)
        await expect(message).to_have_text("")
        await drop(page, tmp_path / "two.txt", ".upload")
        await until(lambda: seen[-1] == ("two.txt", b"two.txt"))
        assert await page.evaluate(BESIDE) == [False, False, False, True]
        await chooser.set_input_files(tmp_path / "large100.bin")  # which is still on its way when
        await chooser.set_input_files(tmp_path / "one.txt")  # another is chosen
        await until(lambda: seen[-1] == ("one.txt", b"one.txt"))
        await page.click("#reset")
        await until(lambda: seen[-1] is None)
        await stop(page)
        seen.clear()
        await start(page)
        assert not any(seen), "what was let go of is not uploaded again"
        await stop(page)


async def test_an_upload_ends_with_its_session(serve: Serve, pages: Pages, tmp_path: Path) -> None:
    """Reset and Stop end an upload that is under way; what is chosen goes into the next session."""
    seen: list[str | None] = []

    def read(image: Image, clip: File | None = None) -> Image:
        seen.append(None if clip is None else clip.name)
        return image

    pages.expect_error("/file/clip/.*status of 409")  # while the server has yet to notice an end
    large(tmp_path / "large.bin", 99 << 20)
    (tmp_path / "one.txt").write_text("one")
    async with serve(Stream(read)) as url:
        page = await visit(pages, url)
        under_way: list[Request] = []
        page.on("request", lambda each: under_way.append(each) if each.method == "PUT" else None)
        for end in ("requestfailed", "requestfinished"):
            page.on(end, lambda each: under_way.remove(each) if each in under_way else None)
        chooser = page.locator('[data-control="clip"] input')
        await start(page)
        slow = await page.context.new_cdp_session(page)
        await slow.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
        await slow.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": 1 << 20})
        for end in ("#reset", "#start"):
            async with page.expect_request("**/file/clip/*"):
                await chooser.set_input_files(tmp_path / "large.bin")
            await expect(page.locator(".upload output")).to_have_text("large.bin 104 MB")
            await expect(page.get_by_label("Uploaded")).to_be_visible()
            await page.click(end)
            await expect(page.get_by_label("Uploaded")).to_be_hidden()
            await until(lambda: not under_way)  # it may have waited to be tried again
        await slow.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": -1})
        await chooser.set_input_files(tmp_path / "one.txt")
        for _ in range(2):
            seen.clear()
            await start(page)
            await until(lambda: seen[-1] == "one.txt")
            await stop(page)


async def test_everybodys_file_is_left_alone(serve: Serve, pages: Pages, tmp_path: Path) -> None:
    """In a shared run, who comes back does not put the own file over another's."""
    seen: list[str | None] = []

    def read(clip: File | None = None) -> Iterator[Image]:
        seen.append(None if clip is None else clip.name)
        while True:
            yield np.zeros((48, 64, 3), np.uint8)

    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    async with serve(Stream(read, shared=True)) as url:
        first, second = await visit(pages, url), await visit(pages, url)
        for page, name in ((first, "one.txt"), (second, "two.txt")):
            await start(page)
            chooser = page.locator('[data-control="clip"] input')
            await chooser.set_input_files(tmp_path / name)
            await until(functools.partial(lambda name: seen[-1] == name, name))
        await stop(first)
        puts: list[str] = []
        first.on("request", lambda request: puts.append(request.method))
        await start(first)
        output = first.locator('[data-control="clip"] output')
        await expect(output).to_have_text("two.txt 7 bytes")
        assert "PUT" not in puts and seen[-1] == "two.txt"
        await stop(first)
        await stop(second)


async def test_another_file_after_stop(serve: Serve, pages: Pages, tmp_path: Path) -> None:
    """What is chosen between two sessions is what is shown, and what the next one gets."""
    chosen: list[str] = []
    seen: list[str | None] = []

    def read(image: Image, clip: File | None = None) -> Image:
        seen.append(None if clip is None else clip.name)
        return image

    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    async with serve(Stream(read)) as url:
        page = await visit(pages, url)
        chooser = page.locator('[data-control="clip"] input')
        shown = page.locator('[data-control="clip"] output')
        for name in ("one.txt", "two.txt"):
            chosen.append(name)
            await chooser.set_input_files(tmp_path / name)
            await expect(shown).to_have_text(f"{name} 7 bytes")
            await start(page)
            await until(lambda: seen[-1] == chosen[-1])
            await stop(page)
            await expect(shown).to_have_text(f"{name} 7 bytes")
