"""A page of your own around a stream: three buttons, and a colour that follows them at once."""

from pathlib import Path
from typing import Literal

import cv2
from aiohttp import web

from rtcstream import Image, Stream

HERE = Path(__file__).parent


def tint(image: Image, colour: Literal["autumn", "winter", "ocean"] = "ocean") -> Image:
    """The picture's brightness in the colours of a season."""
    maps = {
        "autumn": cv2.COLORMAP_AUTUMN,
        "winter": cv2.COLORMAP_WINTER,
        "ocean": cv2.COLORMAP_OCEAN,
    }
    return cv2.applyColorMap(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), maps[colour])


async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(HERE / "custom_page.html")


async def script(request: web.Request) -> web.FileResponse:
    return web.FileResponse(HERE / "custom_page.js")


app = web.Application()
app.router.add_get("/", page)
app.router.add_get("/custom_page.js", script)
app.add_subapp("/tint/", Stream(tint).app())

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8080)
