"""What the tests of the HTTP routes share: a negotiator that remembers, and sites around it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from rtcstream.signaling import (
    Answer,
    Fragment,
    Problem,
    identity_of,
    setup,
)

Client = TestClient[web.Request, web.Application]

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
OFFER = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n"
CANDIDATE = "a=candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host\r\n"
FOREIGN = {"Origin": "https://foreign.example"}
FRIEND = "https://friend.example"


class FakeNegotiator:
    """Remembers what it was asked; raises `error` instead of answering where one is set."""

    def __init__(self) -> None:
        self.offers: list[tuple[str, dict[str, str]]] = []
        self.sessions: dict[str, list[Fragment]] = {}
        self.owners: dict[str, str | None] = {}
        self.servers: Sequence[Mapping[str, Any]] = ()
        self.error: Exception | None = None
        self.news: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.waiting = 0
        self.description: dict[str, Any] = {"version": 1, "name": "fake"}

    async def describe(self, request: web.Request) -> dict[str, Any]:
        return self.description

    async def open(self, offer: str, parameters: dict[str, str], request: web.Request) -> Answer:
        if self.error:
            raise self.error
        self.offers.append((offer, parameters))
        self.sessions["s 1"] = []
        self.owners["s 1"] = identity_of(request)
        return Answer("s 1", "v=0\r\ns=answer\r\n", "tag")

    async def queue(self, request: web.Request) -> AsyncGenerator[Mapping[str, Any], None]:
        if self.error:
            raise self.error
        self.waiting += 1
        try:
            while (event := await self.news.get()) is not None:
                yield event
        finally:
            self.waiting -= 1

    async def trickle(self, session: str, fragment: Fragment) -> None:
        self._known(session).append(fragment)

    async def upload(
        self,
        session: str,
        control: str,
        name: str,
        length: int | None,
        chunks: AsyncIterator[bytes],
    ) -> dict[str, Any]:
        data = b"".join([chunk async for chunk in chunks])
        return {"session": session, "control": control, "name": name, "size": len(data)}

    def download(self, key: str, identity: str | None) -> tuple[Path, str] | None:
        return None

    async def abandon(self, session: str) -> None:
        await self.close(session)

    async def close(self, session: str) -> None:
        self._known(session)
        del self.sessions[session]

    def owner(self, session: str) -> str | None:
        return self.owners.get(session)

    async def ice_servers(self, request: web.Request) -> Sequence[Mapping[str, Any]]:
        return self.servers

    def _known(self, session: str) -> list[Fragment]:
        if session not in self.sessions:
            raise Problem(404, "Unknown session", "Open a new one.")
        return self.sessions[session]


@pytest.fixture(autouse=True)
def quiet_server(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check after each test that nothing reached aiohttp's or asyncio's own error handling."""
    yield
    problems = [record for record in caplog.get_records("call") if record.levelno > logging.INFO]
    assert [record for record in problems if record.name.startswith(("aiohttp", "asyncio"))] == []


@pytest.fixture
def negotiator() -> FakeNegotiator:
    return FakeNegotiator()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make a folder with a page, a static folder, and a file that must not be served."""
    (tmp_path / "page.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "static" / "icons").mkdir(parents=True)
    (tmp_path / "static" / "client.js").write_text("export {}")
    (tmp_path / "static" / "icons" / "dot.svg").write_text("<svg/>")
    return tmp_path


def stream_app(negotiator: FakeNegotiator, site: Path, cors: Sequence[str] = ()) -> web.Application:
    app = web.Application()
    page, static = site / "page.html", site / "static"
    setup(app, negotiator, page=page, static=static, cors_origins=cors)
    return app


def mounted(app: web.Application, prefix: str) -> web.Application:
    if prefix == "/":
        return app
    parent = web.Application()
    parent.add_subapp(prefix, app)
    return parent


def proxy_app(upstream: TestServer, prefix: str) -> web.Application:
    """Make a proxy that strips its path prefix and names itself in X-Forwarded-Host only."""

    async def forward(request: web.Request) -> web.Response:
        headers = request.headers.copy()
        headers["X-Forwarded-Host"] = headers.popone("Host")
        url = upstream.make_url(request.raw_path.removeprefix(prefix))
        async with (
            ClientSession() as session,
            session.request(
                request.method,
                url,
                headers=headers,
                data=await request.read(),
                allow_redirects=False,
            ) as answer,
        ):
            kept = answer.headers.copy()
            for name in ("Content-Length", "Transfer-Encoding", "Content-Encoding", "Date"):
                kept.popall(name, None)
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    app = web.Application()
    app.router.add_route("*", prefix + "/{path:.*}", forward)
    return app


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[Client]:
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client(negotiator: FakeNegotiator, site: Path) -> AsyncIterator[Client]:
    async with serving(stream_app(negotiator, site)) as client:
        yield client


@pytest.fixture
async def open_to_friend(negotiator: FakeNegotiator, site: Path) -> AsyncIterator[Client]:
    async with serving(stream_app(negotiator, site, [FRIEND])) as client:
        yield client


async def problem_of(response: ClientResponse, status: int) -> str:
    """Check that a response is a problem of this status, and return its detail."""
    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = await response.json(content_type=None)
    assert set(problem) == {"type", "title", "status", "detail"}
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["title"]
    assert isinstance(problem["detail"], str)
    return problem["detail"]
