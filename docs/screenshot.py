"""Takes the README's picture: the webcam filter in Chromium, with a drawn scene for a camera.

python -m docs.screenshot, from the checkout, with what `make test` sets up.
"""

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path

import cv2
from aiohttp import web
from playwright.async_api import async_playwright

from rtcstream.examples._pictures import scene
from rtcstream.examples.webcam_filter import stream

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT, FPS = 1280, 720, 30
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


def write_camera(path: Path) -> None:
    """A balloon that drifts over hills, as the .y4m that Chromium takes for a camera."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(3 * FPS):
            picture = cv2.resize(scene(balloon=330 + number), (WIDTH, HEIGHT))
            file.write(b"FRAME\n" + cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).tobytes())


async def main() -> None:
    runner = web.AppRunner(stream.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}/".format(*runner.addresses[0][:2])
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder, "camera.y4m")
        write_camera(camera)
        os.chdir(folder)  # Chromium calls the camera by its path
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera.name}"]
        async with async_playwright() as playwright:
            chromium = shutil.which("chromium")
            browser = await playwright.chromium.launch(executable_path=chromium, args=flags)
            page = await browser.new_page(viewport={"width": 1180, "height": 800})
            await page.goto(url)
            await page.click("#start")
            # Until Chromium has found that the path carries the whole picture.
            whole = page.locator("#readout", has_text=re.compile("1280 . 720"))
            await whole.wait_for(timeout=60_000)
            await page.wait_for_timeout(1500)
            await page.screenshot(path=HERE / "page.png")
            await browser.close()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
