"""What serves streams: over real HTTP, with everything in its place."""

import asyncio
import io
import logging
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rtcstream import CommandError, Image, Stream, server
from rtcstream.certificate import lan_addresses
from rtcstream.server import ServerOptions, listening
from tests.conftest import Leaks, Serve
from tests.offers import ghost_offer

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


def flip(image: Image, strength: int = 3, on: bool = True) -> Image:
    """Upside down.

    More than the page needs to know.
    """
    return image[::-1]


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Any:
    """Fails the test for a traceback or an error in the log."""
    with caplog.at_level(logging.INFO):
        yield
    assert not [r for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR]


async def test_description(serve: Serve, client: aiohttp.ClientSession) -> None:
    """`stream.json` has the contract's fields."""
    async with serve(Stream(flip, title="Flip it")) as url, client.get(url + "stream.json") as got:
        description = await got.json()
    assert description == {
        "version": 1,
        "name": "flip",
        "title": "Flip it",
        "description": "Upside down.",
        "inputs": ["video"],
        "outputs": ["video"],
        "controls": [
            {
                "name": "strength",
                "label": "Strength",
                "type": "integer",
                "default": 3,
                "minimum": None,
                "maximum": None,
                "step": None,
                "choices": None,
            },
            {
                "name": "on",
                "label": "On",
                "type": "boolean",
                "default": True,
                "minimum": None,
                "maximum": None,
                "step": None,
                "choices": None,
            },
        ],
        "limits": {"time_limit": None, "concurrency_limit": None},
        "maxFps": None,
        "shared": False,
        "take": None,
        "iceServers": [],
    }


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "session", SDP, b"garbage", 400),
        ("POST", "session", SDP, b"", 400),
        ("POST", "session", SDP, b"\xff\xfe\x00", 400),
        ("POST", "session", SDP, b"v=0\r\n" * (2 << 20), 413),
        ("POST", "session", {"Content-Type": "application/json"}, b"{}", 415),
        ("POST", "session", {}, b"v=0", 415),
        ("POST", "session?nothing=1", SDP, b"v=0\r\n", 400),
        ("POST", "session?strength=high", SDP, b"v=0\r\n", 400),
        ("POST", "session?on=True", SDP, b"v=0\r\n", 400),
        ("POST", "session?strength=1&strength=2", SDP, b"v=0\r\n", 400),
        ("POST", "session", {**SDP, "Origin": "http://evil.example"}, b"v=0\r\n", 403),
        ("POST", "session", {**SDP, "Host": "evil.example"}, b"v=0\r\n", 403),
        ("GET", "", {"Host": "evil.example:8080"}, b"", 403),
        ("PATCH", "session/unknown", FRAGMENT, b"a=end-of-candidates\r\n", 404),
        ("PATCH", "session/unknown", FRAGMENT, b"garbage", 400),
        ("DELETE", "session/unknown", {}, b"", 404),
        ("PUT", "session", SDP, b"v=0\r\n", 405),
    ],
)
async def test_bad_requests(
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
    client: aiohttp.ClientSession,
    leaks: Leaks,
    quiet: None,
) -> None:
    """Bad input gets the documented status and a problem body, no traceback, and leaves nothing."""
    async with listening(Stream(flip), ServerOptions(port=0)) as url:
        async with client.request("GET", url) as warm:  # the connection that is kept
            await warm.read()
        async with leaks():
            request = client.request(method, url + path, headers=headers, data=io.BytesIO(body))
            async with request as response:
                problem = await response.json(content_type="application/problem+json")
    assert response.status == problem["status"] == status
    assert problem["title"] and problem["detail"] and problem["type"] == "about:blank"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/sdp\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/sdp\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["garbage", "tls", "chunks", "gzip", "header"],
)
async def test_broken_http(request_bytes: bytes, quiet: None) -> None:
    """What is no HTTP is answered as such, without a traceback in the log."""
    async with listening(Stream(flip), ServerOptions(port=0)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url[:-1].split(":")[2]))
        writer.write(request_bytes)
        status = (await asyncio.wait_for(reader.readline(), 5)).split()[1]
        writer.close()
        await writer.wait_closed()
    assert status in (b"400", b"415")


async def test_page_and_its_files(client: aiohttp.ClientSession) -> None:
    """The page is at the root, and everything that it links to is there."""
    async with listening(Stream(flip), ServerOptions(port=0)) as url:
        async with client.get(url) as page:
            assert page.status == 200 and page.content_type == "text/html"
            assert "Content-Security-Policy" in page.headers
        async with client.get(url + "static/rtcstream.js") as script:
            assert script.status == 200 and script.content_type.endswith("javascript")


async def test_port_in_use_is_one_line() -> None:
    """A port that is taken is a CommandError that names it."""
    async with listening(Stream(flip), ServerOptions(port=0)) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        with pytest.raises(CommandError, match=f"port {port} is in use"):
            async with listening(Stream(flip), ServerOptions(port=port)):
                pass


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ssl_cert": "a.pem"}, "both"),
        ({"ssl_cert": "a.pem", "ssl_key": "b.pem"}, "no file 'a.pem'"),
        ({"ssl_cert": __file__, "ssl_key": __file__}, "cannot be used"),
        ({"port": 70000}, "65535"),
        ({"ice_servers": ["stun"]}, "stun:HOST:PORT"),
        ({"ice_servers": ["turn:host:3478"]}, "USER"),
        ({"turn_secret": "north"}, "needs a TURN server"),
        ({"auth": ["short"]}, "8 to 512"),
        ({"auth": ["correct-horse"], "auth_key": "short"}, "32 characters"),
        ({"trusted_proxies": ["proxy.example"]}, "IP address"),
        ({"cors_origins": ["example.com"]}, "origin"),
        ({"host": "no.such.name.invalid"}, "cannot listen"),
    ],
)
async def test_wrong_options_say_what_to_write(options: dict[str, Any], words: str) -> None:
    """Options that cannot be are refused in one line."""
    with pytest.raises(CommandError, match=words):
        given = ServerOptions(**{"port": 0, **options})
        given.check()
        async with listening(Stream(flip), given):
            pass


async def test_self_signed_https(client: aiohttp.ClientSession) -> None:
    """`https` serves with a certificate of its own for localhost and this machine."""
    async with listening(Stream(flip), ServerOptions(port=0, https=True)) as url:
        assert url.startswith("https://")
        port = int(url.rstrip("/").rpartition(":")[2])
        certificate = await asyncio.to_thread(
            ssl.get_server_certificate, ("127.0.0.1", port), timeout=5
        )
        trusting = ssl.create_default_context(cadata=certificate)
        async with client.get(url + "stream.json", ssl=trusting) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, []),
        (
            {"host": "0.0.0.0"},
            [
                "On other machines of the same network: http://192.0.2.5:80/ or http://192.0.2.6:80/",
                "Browsers give the camera to https and localhost only: use --https for other "
                "machines and phones.",
            ],
        ),
        (
            {"host": "::", "https": True},
            [
                "On other machines of the same network: "
                "https://192.0.2.5:80/ or https://192.0.2.6:80/",
                "The certificate is self-signed: a browser asks once whether to trust it.",
            ],
        ),
    ],
)
def test_what_is_said_of_the_address(
    options: dict[str, Any],
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A server that listens on all addresses names them, and says what a browser needs there."""
    monkeypatch.setattr(server, "lan_addresses", lambda: ["192.0.2.5", "192.0.2.6"])
    given = ServerOptions(**options)
    server._explain(given, f"{'https' if given.secure else 'http'}://localhost:80/")
    assert capsys.readouterr().out.splitlines() == lines


async def test_all_addresses_can_be_clicked(client: aiohttp.ClientSession) -> None:
    """The URL of a server on all addresses is localhost, where browsers give the camera; others of
    this machine are no loopback."""
    async with listening(Stream(flip), ServerOptions(host="0.0.0.0", port=0)) as url:
        assert url.startswith("http://localhost:")
        async with client.get(url + "stream.json") as response:
            assert response.status == 200
    assert not any(server.is_loopback(address) for address in lan_addresses())


async def test_ice_servers_reach_the_client(client: aiohttp.ClientSession) -> None:
    """ICE servers of the server are told to the pages of streams mounted in it."""
    app = web.Application()
    app.add_subapp("/effect/", Stream(flip).app())
    servers = ["stun:127.0.0.1:1", "turn:me:secret@127.0.0.1:2?transport=tcp"]
    options = ServerOptions(port=0, ice_servers=servers)
    async with listening(app, options) as url, client.get(url + "effect/stream.json") as response:
        assert (await response.json())["iceServers"] == [
            {"urls": "stun:127.0.0.1:1"},
            {
                "urls": "turn:127.0.0.1:2?transport=tcp",
                "username": "me",
                "credential": "secret",
            },
        ]


async def test_cors_origin_opens_mounted_streams(client: aiohttp.ClientSession) -> None:
    """A named origin may use the streams mounted in what is served, and others may not."""
    app = web.Application()
    app.add_subapp("/effect/", Stream(flip).app())
    options = ServerOptions(port=0, cors_origins=["https://friend.example"])
    async with listening(app, options) as url:
        for origin, status in (("https://friend.example", 200), ("https://foe.example", 403)):
            headers = {"Origin": origin}
            async with client.get(url + "effect/stream.json", headers=headers) as response:
                assert response.status == status
        headers = {"Host": "friend.example"}
        async with client.get(url + "effect/stream.json", headers=headers) as response:
            assert response.status == 200


def test_import_is_light() -> None:
    """`import rtcstream` brings no heavy library beyond what it is made of."""
    code = "import rtcstream, sys; print([m for m in ('torch', 'scipy', 'pandas', 'matplotlib') "
    code += "if m in sys.modules])"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert got.stdout.strip() == "[]"


async def test_checkout_without_symbolic_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the links are plain files, the command line says so in one line."""
    from rtcstream import loading

    monkeypatch.setattr(loading, "EXAMPLES", Path(__file__))
    with pytest.raises(CommandError, match="symbolic links"):
        loading.example_names()


@pytest.mark.parametrize(
    ("host", "forwarded", "status"),
    [
        ("127.0.0.1", "media.example", 200),
        ("media.example", "media.example", 200),
        ("127.0.0.1", "evil.example", 403),
        ("evil.example", "media.example", 403),
    ],
)
async def test_host_behind_a_proxy(
    client: aiohttp.ClientSession, host: str, forwarded: str, status: int
) -> None:
    """Both the Host that came and the one that a named proxy tells of must be known."""
    options = ServerOptions(
        port=0, cors_origins=["https://media.example"], trusted_proxies=["127.0.0.1"]
    )
    headers = {"Host": host, "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": forwarded}
    async with (
        listening(Stream(flip), options) as url,
        client.get(url, headers=headers) as response,
    ):
        assert response.status == status


async def test_peer_behind_a_proxy(client: aiohttp.ClientSession) -> None:
    """The function's `session.peer.address` is the visitor's, where the proxy is named."""
    stream = Stream(flip)
    sessions = stream.sessions()
    stream.sessions = lambda: sessions  # type: ignore[method-assign]
    options = ServerOptions(port=0, trusted_proxies=["127.0.0.0/8"])
    async with (
        listening(stream, options) as url,
        client.post(
            url + "session",
            data=await ghost_offer(),
            headers={**SDP, "X-Forwarded-For": "6.6.6.6, 2001:db8::7"},
        ) as response,
    ):
        assert response.status == 201
        [session] = sessions._sessions.values()
        assert session.peer.address == "2001:db8::7"
