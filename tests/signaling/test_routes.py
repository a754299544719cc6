"""The HTTP routes: each row of the wire contract's table, mounted and behind a proxy."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtcstream.signaling import (
    Answer,
    Problem,
    Proxies,
    body,
)
from tests.signaling.conftest import (
    CANDIDATE,
    FRAGMENT,
    FRIEND,
    OFFER,
    SDP,
    Client,
    FakeNegotiator,
    mounted,
    problem_of,
    proxy_app,
    serving,
    stream_app,
)

# Where the stream is mounted


@pytest.mark.parametrize("prefix", ["/", "/effect/"])
@pytest.mark.parametrize("proxied", [False, True])
async def test_whole_life(
    negotiator: FakeNegotiator, site: Path, prefix: str, proxied: bool
) -> None:
    """At any mount, and behind a proxy with a prefix, relative addresses lead to the session."""
    app = mounted(stream_app(negotiator, site), prefix)
    app.middlewares.append(Proxies(["127.0.0.1"]).middleware())
    async with serving(app) as direct:
        assert isinstance(direct.server, TestServer)
        proxy = proxy_app(direct.server, "/proxy")
        async with serving(proxy) if proxied else contextlib.nullcontext(direct) as client:
            base = "/proxy" + prefix if proxied else prefix
            origin = {"Origin": str(client.make_url("/")).rstrip("/")}
            page = await client.get(base)
            assert await page.text() == "<!doctype html><title>page</title>"
            assert (await client.get(urljoin(base, "./static/client.js"))).status == 200
            stream = await client.get(urljoin(base, "./stream.json"))
            assert await stream.json() == {"version": 1, "name": "fake"}
            target = urljoin(base, "./session?mode=edges")
            opened = await client.post(target, data=OFFER, headers=SDP | origin)
            assert opened.status == 201
            assert opened.headers["Location"] == "session/s%201"
            session = urljoin(target, opened.headers["Location"])
            patch = await client.patch(session, data=CANDIDATE, headers=FRAGMENT | origin)
            assert patch.status == 204
            assert len(negotiator.sessions["s 1"]) == 1
            assert (await client.delete(session, headers=origin)).status == 200
            assert negotiator.sessions == {}


@pytest.mark.parametrize("name", ["effect", "a:b"])
async def test_missing_slash(negotiator: FakeNegotiator, site: Path, name: str) -> None:
    """The mount point without its slash redirects relatively and keeps the query."""
    async with serving(mounted(stream_app(negotiator, site), f"/{name}/")) as direct:
        answer = await direct.get(f"/{name}?mode=edges&x=%26", allow_redirects=False)
        assert answer.status == 307
        assert answer.headers["Location"] == f"./{name}/?mode=edges&x=%26"
        assert isinstance(direct.server, TestServer)
        async with serving(proxy_app(direct.server, "/proxy")) as client:
            page = await client.get(f"/proxy/{name}?mode=edges")
            assert page.status == 200
            assert str(page.url.relative()) == f"/proxy/{name}/?mode=edges"


async def test_two_streams(site: Path) -> None:
    """Two streams in one application, one of them mounted deeper, have sessions of their own."""
    first, second, inner = FakeNegotiator(), FakeNegotiator(), web.Application()
    parent = web.Application()
    parent.add_subapp("/one/", stream_app(first, site))
    inner.add_subapp("/two/", stream_app(second, site))
    parent.add_subapp("/deep/", inner)
    async with serving(parent) as client:
        assert (await client.post("/deep/two/session", data=OFFER, headers=SDP)).status == 201
        assert (await client.get("/deep/two")).status == 200
    assert (len(first.offers), len(second.offers)) == (0, 1)


# The page and its files


async def test_page_headers(client: Client) -> None:
    """The page may load nothing from elsewhere, and is asked for anew each time."""
    page = await client.get("/")
    assert page.content_type == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-cache"


async def test_static_edit(client: Client, site: Path) -> None:
    """An unchanged file is answered 304, an edited one shows at once."""
    first = await client.get("/static/client.js")
    assert first.content_type in ("text/javascript", "application/javascript")
    assert (first.headers["Cache-Control"], "Content-Security-Policy" in first.headers) == (
        "no-cache",
        False,
    )
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await client.get("/static/client.js", headers=tag)).status == 304
    (site / "static" / "client.js").write_text("export { edited }")
    assert await (await client.get("/static/client.js", headers=tag)).text() == "export { edited }"


async def test_static_folder(client: Client) -> None:
    """Files in folders below are served, and HEAD answers without the body."""
    assert (await client.get("/static/icons/dot.svg")).content_type == "image/svg+xml"
    head = await client.head("/static/client.js")
    assert (head.status, await head.read()) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "missing.js",
        "icons",
        "..%2Fsecret.txt",
        "%2E%2E/secret.txt",
        "%2Fetc%2Fpasswd",
        "%00",
        "x" * 5000,
    ],
)
async def test_static_outside(client: Client, path: str) -> None:
    """What is no file of the static folder is not found, whatever the path."""
    url = client.make_url("/").with_path(f"/static/{path}", encoded=True)
    response = await client.session.get(url)
    assert response.status == 404
    assert "secret" not in await response.text()


async def test_describe(client: Client) -> None:
    """stream.json is what the negotiator describes, for GET and HEAD."""
    response = await client.get("/stream.json")
    assert response.content_type == "application/json"
    assert await response.json() == {"version": 1, "name": "fake"}
    assert (await client.head("/stream.json")).status == 200


# POST


async def test_open(client: Client, negotiator: FakeNegotiator) -> None:
    """An offer is answered 201 with the answer, a relative location and a quoted tag."""
    response = await client.post("/session?mode=edges&on=true", data=OFFER, headers=SDP)
    assert response.status == 201
    assert response.headers["Content-Type"] == "application/sdp"
    assert response.headers["Location"] == "session/s%201"
    assert response.headers["ETag"] == '"tag"'
    assert "Link" not in response.headers
    assert await response.read() == b"v=0\r\ns=answer\r\n"
    assert negotiator.offers == [(OFFER, {"mode": "edges", "on": "true"})]


async def test_ice_servers(client: Client, negotiator: FakeNegotiator) -> None:
    """Each URL of each ICE server has a Link header of its own, its credentials quoted."""
    negotiator.servers = [
        {"urls": "stun:stun.example"},
        {
            "urls": ["turn:a.example?transport=udp", "turns:b.example"],
            "username": "u",
            "credential": '"\\',
        },
    ]
    response = await client.post("/session", data=OFFER, headers=SDP)
    credential = r'username="u"; credential="\"\\"; credential-type="password"'
    assert response.headers.getall("Link") == [
        '<stun:stun.example>; rel="ice-server"',
        f'<turn:a.example?transport=udp>; rel="ice-server"; {credential}',
        f'<turns:b.example>; rel="ice-server"; {credential}',
    ]


async def test_media_type_parameter(client: Client) -> None:
    """A media type may have parameters and any case."""
    headers = {"Content-Type": "Application/SDP; charset=utf-8"}
    assert (await client.post("/session", data=OFFER, headers=headers)).status == 201


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", None])
async def test_wrong_media_type(client: Client, media_type: str | None) -> None:
    """Another media type, or none, is 415 and names the right one."""
    skip = ["Content-Type"] if media_type is None else None
    headers = {} if media_type is None else {"Content-Type": media_type}
    post = await client.post(
        "/session", data=OFFER.encode(), headers=headers, skip_auto_headers=skip
    )
    assert "application/sdp" in await problem_of(post, 415)
    assert post.headers["Accept-Post"] == "application/sdp"
    patch = await client.patch(
        "/session/x", data=OFFER.encode(), headers=headers, skip_auto_headers=skip
    )
    assert "application/trickle-ice-sdpfrag" in await problem_of(patch, 415)
    assert patch.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


async def test_compressed_body(client: Client) -> None:
    """A compressed body is 415: it could unfold without end."""
    response = await client.post("/session", data=OFFER, headers=SDP, compress="deflate")
    assert "Content-Encoding" in await problem_of(response, 415)


@pytest.mark.parametrize(
    ("query", "data", "detail"),
    [
        ("", b"", "Send the application/sdp text"),
        ("", b"v=0\r\n\xff", "byte 5"),
        ("?mode=a&x=1&mode=b", OFFER.encode(), "'mode'"),
    ],
)
async def test_bad_request(
    client: Client, negotiator: FakeNegotiator, query: str, data: bytes, detail: str
) -> None:
    """An empty body, one that is not UTF-8 and a query name given twice are 400."""
    response = await client.post(f"/session{query}", data=data, headers=SDP)
    assert detail in await problem_of(response, 400)
    assert negotiator.offers == []


async def in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1000):
        yield b"x" * 1000


async def test_largest_body(client: Client) -> None:
    """64 KiB are accepted; one byte more is 413, announced or not."""
    most = b"x" * 65536
    assert (await client.post("/session", data=most, headers=SDP)).status == 201
    announced = await client.post("/session", data=most + b"x", headers=SDP)
    assert "65536" in await problem_of(announced, 413)
    chunked = await client.post("/session", data=in_chunks(66_000), headers=SDP)
    await problem_of(chunked, 413)
    assert chunked.headers["Connection"] == "close"


@pytest.mark.parametrize("prefix", ["/", "/effect/"])
async def test_ten_megabytes(negotiator: FakeNegotiator, site: Path, prefix: str) -> None:
    """A client that sends 10 MB before it reads can read the 413, and nothing is kept."""
    async with serving(mounted(stream_app(negotiator, site), prefix)) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(
            f"POST {prefix}session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp"
            "\r\nContent-Length: 10000000\r\n\r\n".encode()
        )
        writer.write(b"x" * 10_000_000)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer
    assert negotiator.offers == []


async def test_answer_before_body(client: Client) -> None:
    """Too large a Content-Length is answered before any of the body has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\n"
        b"Content-Length: 10000000\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()
    await writer.wait_closed()


async def test_slow_body(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is given up with 408."""
    monkeypatch.setattr(body, "TIMEOUT", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\n"
        b"Content-Length: 100\r\n\r\nv=0"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()


async def test_client_leaves(site: Path) -> None:
    """A session whose client left before the answer is closed at once."""
    opening, closed = asyncio.Event(), asyncio.Event()

    class SlowNegotiator(FakeNegotiator):
        async def open(
            self, offer: str, parameters: dict[str, str], request: web.Request
        ) -> Answer:
            opening.set()
            while request.transport is not None:  # noqa: ASYNC110  aiohttp has no event for it
                await asyncio.sleep(0.001)
            return await super().open(offer, parameters, request)

        async def abandon(self, session: str) -> None:
            await super().abandon(session)
            closed.set()

    # Not the test server: it cancels the handlers of clients that leave, which aiohttp otherwise
    # leaves to run on.
    runner = web.AppRunner(stream_app(SlowNegotiator(), site))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(
            b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\n"
            b"Content-Length: 3\r\n\r\nv=0"
        )
        await opening.wait()
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(closed.wait(), 10)
    finally:
        await runner.cleanup()


async def test_negotiator_problem(client: Client, negotiator: FakeNegotiator) -> None:
    """A problem that the negotiator raises is answered as it is, with its headers."""
    negotiator.error = Problem(503, "Full", "Try again soon.", {"Retry-After": "5"})
    response = await client.post("/session", data=OFFER, headers=SDP)
    assert await problem_of(response, 503) == "Try again soon."
    assert response.headers["Retry-After"] == "5"


async def test_negotiator_fault(
    open_to_friend: Client, negotiator: FakeNegotiator, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is logged once with its traceback and gives nothing away."""
    negotiator.error = RuntimeError("the password is hunter2")
    response = await open_to_friend.post(
        "/session?token=x", data=OFFER, headers=SDP | {"Origin": FRIEND}
    )
    await problem_of(response, 500)
    assert "hunter2" not in await response.text()
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is negotiator.error
    assert record.getMessage() == "POST /session failed"


async def test_describe_fault(client: Client, negotiator: FakeNegotiator) -> None:
    """A NaN in the description is a fault of the server, not invalid JSON for the page."""
    negotiator.description = {"maximum": float("nan")}
    await problem_of(await client.get("/stream.json"), 500)


# PATCH and DELETE


async def test_trickle(client: Client, negotiator: FakeNegotiator) -> None:
    """A fragment reaches the negotiator, whatever the client made of the entity tag."""
    await client.post("/session", data=OFFER, headers=SDP)
    for tag in ({}, {"If-Match": '"tag"'}, {"If-Match": "*"}, {"ETag": '"tag"'}):
        text = f"a=ice-ufrag:abcd\r\n{CANDIDATE}a=end-of-candidates\r\n"
        response = await client.patch("/session/s%201", data=text, headers=FRAGMENT | tag)
        assert response.status == 204
    assert [(f.ufrag, len(f.candidates), f.end) for f in negotiator.sessions["s 1"]] == [
        ("abcd", 1, True)
    ] * 4


async def test_bad_fragment(client: Client) -> None:
    """A malformed fragment is 400 and names the line."""
    response = await client.patch("/session/x", data="a=mid:0\na=candidate:x", headers=FRAGMENT)
    assert "line 2" in await problem_of(response, 400)
    await problem_of(await client.patch("/session/x", data=b"", headers=FRAGMENT), 400)
    large = await client.patch("/session/x", data=b"x" * 70_000, headers=FRAGMENT)
    await problem_of(large, 413)


async def test_unknown_session(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """An unknown session is 404 for PATCH and DELETE, and nothing for the log."""
    await problem_of(await client.patch("/session/x", data=CANDIDATE, headers=FRAGMENT), 404)
    await problem_of(await client.delete("/session/x"), 404)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_close(client: Client, negotiator: FakeNegotiator) -> None:
    """DELETE ends the session; a second one does not find it."""
    await client.post("/session", data=OFFER, headers=SDP)
    response = await client.delete("/session/s%201")
    assert (response.status, await response.read()) == (200, b"")
    assert negotiator.sessions == {}
    await problem_of(await client.delete("/session/s%201"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/session", "POST, OPTIONS"),
        ("GET", "/session/x", "PATCH, DELETE, OPTIONS"),
        ("POST", "/session/x", "PATCH, DELETE, OPTIONS"),
        ("PUT", "/stream.json", "GET, HEAD, OPTIONS"),
        ("DELETE", "/", "GET, HEAD, OPTIONS"),
        ("POST", "/static/client.js", "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_method(client: Client, method: str, path: str, allow: str) -> None:
    """Another method is 405, and Allow lists the right ones."""
    response = await client.request(method, path)
    assert allow in await problem_of(response, 405)
    assert response.headers["Allow"] == allow
