"""Pages of one file, with their style in them and without any script."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"
NO_WORDS: Mapping[str, str] = {}


class PlainPage:
    """A file of ``static/`` with ``plain.css`` before its own style, and whose ``{{names}}`` are
    replaced; nothing else can be loaded by it."""

    def __init__(self, name: str) -> None:
        page, common = ((STATIC / file).read_text(encoding="utf-8") for file in (name, "plain.css"))
        self._template = page.replace("<style>", f"<style>\n{common}")
        [style] = re.findall(r"<style>(.*?)</style>", self._template, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'"
            ),
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }

    def response(
        self,
        words: Mapping[str, str],
        *,
        markup: Mapping[str, str] = NO_WORDS,
        status: int = 200,
        headers: Mapping[str, str] = NO_WORDS,
    ) -> web.Response:
        """The page with these words in it; ``markup`` is HTML already."""
        whole = {name: html.escape(word) for name, word in words.items()} | dict(markup)
        text = re.sub(r"\{\{([a-z-]+)\}\}", lambda match: whole[match[1]], self._template)
        return web.Response(
            status=status,
            text=text,
            content_type="text/html",
            headers={**self._headers, **headers},
        )
