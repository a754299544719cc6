"""The README's own page: its JavaScript as it stands, in an application as it shows one."""

import re
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.browser import Pages
from tests.conftest import Serve

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


async def test_the_page_of_the_readme(serve: Serve, pages: Pages) -> None:
    """The negative of the camera is seen in a page of one's own, whose script is the README's."""
    [script] = re.findall(r"^```js\n(.*?)^```", README, re.M | re.S)
    [program] = re.findall(r"^```python\n((?:(?!```).)*add_subapp.*?)^```", README, re.M | re.S)
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(program, "README.md", "exec"), names)

    async def page(request: web.Request) -> web.StreamResponse:
        text = f'<video autoplay muted></video><script type="module">{script}</script>'
        return web.Response(text=text, content_type="text/html")

    app: web.Application = names["app"]
    app.router.add_get("/", page)
    async with serve(app) as url:
        opened = await pages.open(url)
        await opened.wait_for_function("document.querySelector('video').videoWidth > 0")
