"""Files that functions offer to their visitors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import pytest
from playwright.async_api import expect

from rtcstream import Download, Label, Session, Stream, testing
from rtcstream.host import MOST_DOWNLOADS
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import application, visit

THIS = Path(__file__).resolve()


def offering(folder: Path) -> Any:
    def report(session: Session) -> Iterator[Annotated[Download, Label("report")]]:
        """Writes a file, and offers it."""
        path = folder / "found.jsonl"
        path.write_text('{"boxes": []}\n')
        yield session.download(path, "what was found.jsonl")

    return report


async def test_over_http(serve: Serve, tmp_path: Path) -> None:
    """What a function offers is sent as a file by its name, to who has its address, as long as the
    session lasts."""
    sessions = Stream(offering(tmp_path)).sessions()
    async with (
        serve(application(sessions, sessions)) as url,
        aiohttp.ClientSession() as client,
        testing.connect(sessions) as peer,
    ):
        offered = await peer.result()
        assert (offered["name"], offered["size"]) == ("what was found.jsonl", 14)
        async with client.get(url + offered["href"]) as answer:
            assert await answer.text() == '{"boxes": []}\n'
            disposition = answer.headers["Content-Disposition"]
            assert disposition == "attachment; filename*=UTF-8''what%20was%20found.jsonl"
            assert answer.headers["Content-Security-Policy"] == "sandbox"
        async with client.get(url + "download/another") as answer:
            assert answer.status == 404
        assert sessions.download(offered["href"].removeprefix("download/"), "somebody") is None
        (tmp_path / "found.jsonl").unlink()
        async with client.get(url + offered["href"]) as answer:
            assert answer.status == 404
        assert peer.session is not None
        with pytest.raises(FileNotFoundError):
            peer.session.download(tmp_path / "missing")
        (tmp_path / "many").write_text("x")
        for _ in range(MOST_DOWNLOADS):
            peer.session.download(tmp_path / "many")
        assert sessions.download(offered["href"].removeprefix("download/"), None) is None


async def test_from_a_worker_process() -> None:
    """A function in a process of its own offers files likewise."""
    sessions = Stream(of_a_process, isolation="process").sessions()
    async with testing.connect(sessions) as peer:
        offered = await peer.result()
        assert offered["name"] == THIS.name
        found = sessions.download(offered["href"].removeprefix("download/"), None)
        assert found == (THIS, THIS.name)
    await sessions.end_all("the server stopped")


def of_a_process(session: Session) -> Iterator[Download]:
    yield session.download(THIS)


async def test_on_the_page(serve: Serve, pages: Pages, tmp_path: Path) -> None:
    """The page shows a link with the file's name and size, and it is saved by that name."""
    async with serve(Stream(offering(tmp_path))) as url:
        page = await visit(pages, url)
        await page.click("#start")
        link = page.get_by_role("link", name="what was found.jsonl, 14 bytes")
        await expect(link).to_be_visible()
        async with page.expect_download() as download:
            await link.click()
        saved = await download.value
        assert saved.suggested_filename == "what was found.jsonl"
        assert (await saved.path()).read_text() == '{"boxes": []}\n'
        await page.click("#start")
