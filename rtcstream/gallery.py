"""All examples in one application, each mounted at ``/NAME/``, with a page that shows them."""

from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from . import signaling
from .controls import in_words
from .loading import EXAMPLES, Target, example_names, load, sentence
from .not_found import PLACES, Place
from .stream import STATIC, Stream

PICTURES = EXAMPLES / "pictures"

FIRST = "webcam_filter"
"""What a newcomer should see first; the others follow by name."""


class Gallery:
    """The examples, ready to be served like a ``Stream``."""

    name = "rtcstream"

    def app(self) -> web.Application:
        """An application with the gallery at ``/`` and each example at ``/NAME/``."""
        app = web.Application()
        cards: list[dict[str, Any]] = []
        for name in sorted(example_names(), key=lambda name: name != FIRST):
            example = load(name)
            cards.append(_card(name, example.target))
            mounted = example.app()
            if isinstance(example.target, Stream):
                mounted[signaling.GALLERY] = True
            app.add_subapp(f"/{name}/", mounted)

        app[PLACES] = [Place(card["name"], card["title"]) for card in cards]

        async def page(request: web.Request) -> web.StreamResponse:
            return web.FileResponse(STATIC / "gallery.html")

        async def listing(request: web.Request) -> web.StreamResponse:
            return web.json_response(cards)

        app.router.add_get("/", page)
        app.router.add_get("/gallery.json", listing)
        app.router.add_get("/gallery/{file}", _files(PICTURES))
        app.router.add_get("/static/{file}", _files(STATIC))
        return app


def _files(folder: Path) -> Handler:
    """Serves the files of a folder."""

    async def file(request: web.Request) -> web.StreamResponse:
        path = signaling.file_in(folder, request.match_info["file"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path)

    return file


def _card(name: str, target: Target) -> dict[str, Any]:
    picture = f"{name}.jpg"
    return {
        "name": name,
        "title": target.title if isinstance(target, Stream) else in_words(name),
        "description": sentence(name),
        "picture": f"gallery/{picture}" if (PICTURES / picture).is_file() else None,
    }
