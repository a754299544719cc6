"""Two streams inside an aiohttp application that you have already, each at its own address."""

import cv2
from aiohttp import web

from rtcstream import Image, Stream


def negative(image: Image) -> Image:
    """Every colour turned into its opposite."""
    return 255 - image


def sepia(image: Image) -> Image:
    """The colours of an old photograph."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.merge([grey * 0.55, grey * 0.78, grey * 0.98]).astype("uint8")


async def home(request: web.Request) -> web.Response:
    return web.Response(
        text='<!doctype html><html lang="en" style="font: 1.1rem sans-serif; margin: 2rem; '
        'color-scheme: light dark"><meta name="viewport" content="width=device-width">'
        '<link rel="icon" href="data:,"><title>Mine</title><p>A page of my own, with '
        '<a href="negative/">a negative</a> and <a href="sepia/">an old photograph</a>.',
        content_type="text/html",
    )


app = web.Application()
app.router.add_get("/", home)
app.add_subapp("/negative/", Stream(negative).app())
app.add_subapp("/sepia/", Stream(sepia).app())

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8080)
