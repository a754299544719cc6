"""Who may use a server: bearer tokens, a cookie from the sign-in page, the user's own rule."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from rtcstream import Image, Limits, Stream
from rtcstream.access import Access, Tokens
from rtcstream.server import ServerOptions, listening
from rtcstream.sign_in import checked_way, relative_way
from rtcstream.signaling import identity_of
from tests.offers import ghost_offer

TOKEN, OTHER = "correct-horse", "battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SDP = {"Content-Type": "application/sdp"}
PERSON = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Mode": "navigate"}

Serve = Callable[..., contextlib.AbstractAsyncContextManager[str]]


def flip(image: Image) -> Image:
    return image[::-1]


def served(**options: Any) -> contextlib.AbstractAsyncContextManager[str]:
    return listening(Stream(flip), ServerOptions(port=0, **options))


async def sign_in(client: aiohttp.ClientSession, url: str, token: str) -> aiohttp.ClientResponse:
    return await client.post(
        url + "sign-in", data={"token": token, "to": "./"}, allow_redirects=False
    )


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong-token"}, {"Cookie": "x=y"}]
)
async def test_nobody(client: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    """Without a token that is known every request of a program is 401 with a problem body."""
    async with served(auth=[TOKEN]) as url:
        for method, path in (
            ("GET", "stream.json"),
            ("POST", "session"),
            ("GET", "static/page.js"),
        ):
            async with client.request(method, url + path, headers=headers) as response:
                assert response.status == 401
                wrong = ' error="invalid_token"' if "Authorization" in headers else ""
                assert response.headers["WWW-Authenticate"] == f"Bearer{wrong}"
                assert "Bearer TOKEN" in (await response.json(content_type=None))["detail"]


@pytest.mark.parametrize("auth", [TOKEN, [OTHER, TOKEN], {"ann": TOKEN, "bob": OTHER}])
async def test_bearer(client: aiohttp.ClientSession, auth: Any) -> None:
    """Any of the tokens, in `Authorization`, lets a program in."""
    async with (
        served(auth=auth) as url,
        client.get(url + "stream.json", headers=BEARER) as response,
    ):
        assert response.status == 200


async def test_person_signs_in_and_out(client: aiohttp.ClientSession) -> None:
    """A page leads to the form, the form back to the page with its query; signing out ends it."""
    async with served(auth=[TOKEN]) as url:
        async with client.get(url + "?strength=7", headers=PERSON) as form:
            assert form.url.path == "/sign-in"
            assert form.status == 200
            page = await form.text()
        to = unescape(re.findall(r'name="to" value="(.*?)"', page)[0])
        assert urljoin(url + "sign-in", to) == url + "?strength=7"
        wrong = await sign_in(client, url, "wrong-token")
        assert wrong.status == 401
        assert "not known here" in await wrong.text()
        right = await sign_in(client, url, TOKEN)
        assert (right.status, right.headers["Location"]) == (303, "./")
        cookie = right.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Max-Age=" in cookie
        assert "Secure" not in cookie
        value = cookie.partition(";")[0]
        async with client.get(url + "stream.json") as response:
            assert response.status == 200
        async with client.get(url + "sign-in") as response:
            assert "You are signed in" in await response.text()
        async with client.post(url + "sign-out") as response:
            assert response.url.path == "/sign-in"
        async with client.get(url + "stream.json", headers={"Cookie": value}) as response:
            assert response.status == 401, "a cookie that was kept is no good either"


async def test_cookie_is_secure_behind_tls(client: aiohttp.ClientSession) -> None:
    """Where a named proxy says that the visitor came by https, the cookie is for https only."""
    async with served(auth=[TOKEN], trusted_proxies=["127.0.0.1"]) as url:
        response = await client.post(
            url + "sign-in",
            data={"token": TOKEN},
            headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"},
            allow_redirects=False,
        )
        assert "; Secure" in response.headers["Set-Cookie"]


async def test_link_from_another_site(client: aiohttp.ClientSession) -> None:
    """Who comes by a link is not asked to sign in again: the page loads once more, with cookie."""
    async with served(auth=[TOKEN]) as url:
        headers = {**PERSON, "Sec-Fetch-Site": "cross-site"}
        async with client.get(url, headers=headers) as response:
            assert response.url.path == "/"
            assert 'http-equiv="refresh"' in await response.text()


async def test_foreign_form(client: aiohttp.ClientSession) -> None:
    """A form of another site can sign nobody in or out."""
    async with served(auth=[TOKEN]) as url:
        for path in ("sign-in", "sign-out"):
            headers = {"Origin": "https://evil.example"}
            async with client.post(url + path, data={"token": TOKEN}, headers=headers) as response:
                assert response.status == 403
                assert "Set-Cookie" not in response.headers


async def test_guessing_is_limited(client: aiohttp.ClientSession) -> None:
    """After some wrong tokens an address waits, whatever it sends then; a cookie still is good."""
    async with served(auth=[TOKEN], limits=Limits(sign_in_burst=3)) as url:
        await sign_in(client, url, TOKEN)
        statuses = [(await sign_in(client, url, "wrong-token")).status for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        async with client.get(url + "stream.json", headers=BEARER) as response:
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0
        async with client.get(url + "stream.json") as response:
            assert response.status == 200


async def test_session_is_its_owners(client: aiohttp.ClientSession) -> None:
    """The URL of a session is 404 to whoever else has a token, and works for who opened it."""
    stream = Stream(flip)
    sessions = stream.sessions()
    stream.sessions = lambda: sessions  # type: ignore[method-assign]
    options = ServerOptions(port=0, auth={"ann": TOKEN, "bob": OTHER})
    async with listening(stream, options) as url:
        async with client.post(
            url + "session", data=await ghost_offer(), headers={**SDP, **BEARER}
        ) as response:
            assert response.status == 201
            location = urljoin(url, response.headers["Location"])
        [session] = sessions._sessions.values()
        assert session.peer.identity == "ann"
        for headers, status in (
            ({"Authorization": f"Bearer {OTHER}"}, 404),
            ({}, 401),
            (BEARER, 200),
        ):
            async with client.delete(location, headers=headers) as response:
                assert response.status == status


async def test_own_rule(client: aiohttp.ClientSession) -> None:
    """`authorize` says who a request is of; what it raises lets nobody in and is logged."""

    async def authorize(request: web.Request) -> str | None:
        if request.headers.get("X-User") == "broken":
            raise RuntimeError("no database")
        return request.headers.get("X-User")

    seen: list[str | None] = []

    async def tell(request: web.Request) -> web.Response:
        seen.append(identity_of(request))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", tell)
    async with listening(app, ServerOptions(port=0, auth=authorize)) as url:
        for user, status in (("ann", 200), (None, 401), ("broken", 503), ("x" * 300, 401)):
            headers = {**PERSON} if user is None else {**PERSON, "X-User": user}
            async with client.get(url, headers=headers) as response:
                assert response.status == status
    assert seen == ["ann"]


async def test_mounted(client: aiohttp.ClientSession) -> None:
    """A stream that is mounted guards itself only, and its sign-in page is below it."""
    app = web.Application()
    app.add_subapp("/effect/", Stream(flip).app(auth=TOKEN))
    app.router.add_get("/", _hello)
    async with listening(app, ServerOptions(port=0)) as url:
        async with client.get(url) as response:
            assert response.status == 200
        async with client.get(url + "effect/", headers=PERSON) as response:
            assert response.url.path == "/effect/sign-in"
        await sign_in(client, url + "effect/", TOKEN)
        async with client.get(url + "effect/stream.json") as response:
            assert response.status == 200


async def _hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def test_preflight_of_an_allowed_origin(client: aiohttp.ClientSession) -> None:
    """Browsers ask without a token what a page may send; the 401 that follows can be read."""
    origin = {"Origin": "https://friend.example"}
    async with served(auth=[TOKEN], cors_origins=["https://friend.example"]) as url:
        headers = {**origin, "Access-Control-Request-Method": "POST"}
        async with client.options(url + "session", headers=headers) as response:
            assert response.status == 204
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        async with client.post(url + "session", headers=origin) as response:
            assert response.status == 401
            assert response.headers["Access-Control-Allow-Origin"] == "https://friend.example"


async def test_cookie_outlasts_a_restart_with_its_key_and_token(
    client: aiohttp.ClientSession,
) -> None:
    """With the same key and token a sign-in is good at the next server; with another, it is not."""
    key = "k" * 32
    async with served(auth=[TOKEN], auth_key=key) as url:
        cookie = (await sign_in(client, url, TOKEN)).headers["Set-Cookie"].partition(";")[0]
    for auth, key_then, status in (
        ([TOKEN], key, 200),
        ([TOKEN], None, 401),
        ({"ann": TOKEN}, key, 401),
    ):
        async with (
            served(auth=auth, auth_key=key_then) as url,
            client.get(url + "stream.json", headers={"Cookie": cookie}) as response,
        ):
            assert response.status == status


async def test_cookie_expires() -> None:
    """After its time a sign-in is none."""
    now = 1000.0
    access = Access([TOKEN], clock=lambda: now)
    app = web.Application()
    app.router.add_get("/", _hello)
    app.middlewares.append(access.middleware(app))
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        listening(app, ServerOptions(port=0)) as url,
        aiohttp.ClientSession(cookie_jar=jar) as client,
    ):
        cookie = (await sign_in(client, url, TOKEN)).headers["Set-Cookie"].partition(";")[0]
        for at, status in ((1000.0 + 12 * 3600 - 1, 200), (1000.0 + 12 * 3600 + 1, 401)):
            now = at
            async with client.get(url, headers={"Cookie": cookie}) as response:
                assert response.status == status


@pytest.mark.parametrize(
    ("auth", "key", "words"),
    [
        (["short"], None, "8 to 512"),
        (["with space in it"], None, "characters"),
        ([], None, "at least one token"),
        ({"": TOKEN}, None, "name"),
        ([TOKEN], "short", "32 characters"),
    ],
)
def test_refused_options(auth: Any, key: str | None, words: str) -> None:
    """A token or key that cannot be one is refused when the server starts, without being shown."""
    with pytest.raises(ValueError, match=words) as caught:
        Access(auth, key=key)
    assert "with space" not in str(caught.value)


@given(st.text())
def test_any_text_is_no_token(text: str) -> None:
    """Whatever is given as a token, it is nobody's if it is not the token."""
    assert Tokens([TOKEN]).identity(text) == (
        None if text != TOKEN else Tokens([TOKEN]).identity(TOKEN)
    )


@given(st.text() | st.text("./\\:?ab", max_size=20))
def test_nobody_is_led_elsewhere(way: str) -> None:
    """Where a visitor goes after signing in is on this server, whatever the form says."""
    assert urljoin("https://here.example/app/sign-in", checked_way(way)).startswith(
        "https://here.example/"
    )


PATHS = st.lists(st.sampled_from(["a", "b.c", "sign-in"]), max_size=4).map("/".join)


@given(PATHS, st.booleans(), PATHS)
def test_relative_way_arrives(start: str, slash: bool, end: str) -> None:
    """A relative way leads from one path to another, also below a prefix that nobody told us."""
    start, end = f"/{start}", f"/{end}" + ("/" if slash and end else "")
    way = relative_way(start, f"{end}?x=1")
    for prefix in ("", "/prefix"):
        found = urljoin(f"http://here{prefix}{start}", way)
        assert found.replace("/?", "?") == f"http://here{prefix}{end}?x=1".replace("/?", "?")


async def test_slow_rule_is_no_rule(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `authorize` that never returns is given up, with 503."""
    monkeypatch.setattr("rtcstream.access.AUTHORIZE_TIMEOUT", 0.05)

    async def authorize(request: web.Request) -> str | None:
        await asyncio.Event().wait()
        return "never"

    async with (
        served(auth=authorize) as url,
        client.get(url + "stream.json") as response,
    ):
        assert response.status == 503
        assert "Retry-After" in response.headers
