"""What an operator asks the server: health, readiness, metrics, the page at /admin."""

import builtins
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.parser import text_string_to_metric_families

from rtcstream import CommandError, Image, Stream, testing
from rtcstream.admin import SIGNED_IN, is_own
from rtcstream.negotiator import Sessions
from rtcstream.operations import Operations, Reading
from rtcstream.overload import Overload
from rtcstream.server import ServerOptions, listening
from tests.pictures import scene
from tests.waiting import until

TOKEN = "a-token-that-nobody-guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def negative(image: Image) -> Image:
    return 255 - image


def failing(image: Image) -> Image:
    raise ValueError("no")


@pytest.fixture
def operations() -> Operations:
    return Operations(Overload())


@pytest.fixture
async def url(operations: Operations) -> AsyncIterator[str]:
    """A server of two streams, with an admin token."""
    app = web.Application()
    app.add_subapp("/negative/", Stream(negative).app())
    app.add_subapp("/failing/", Stream(failing).app())
    async with listening(app, ServerOptions(port=0, admin_token=TOKEN), operations) as url:
        yield url


def sessions_of(operations: Operations, name: str) -> Sessions:
    return operations.streams[name]


async def metrics(client: aiohttp.ClientSession, url: str) -> dict[tuple[str, ...], float]:
    """Each sample's value, by its name and its labels' values, in the order of their names."""
    async with client.get(url + "metrics") as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/plain"
        text = await response.text()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# Health and readiness


async def test_a_server_is_alive_and_ready(client: aiohttp.ClientSession, url: str) -> None:
    """A server that runs says to everybody that it is alive and ready; HEAD does, too."""
    for path, body in (("healthz", {"alive": True}), ("readyz", {"ready": True})):
        async with client.get(url + path) as response:
            assert (response.status, await response.json()) == (200, body)
            assert response.headers["Cache-Control"] == "no-store"
        async with client.head(url + path) as response:
            assert response.status == 200


async def test_a_stopping_server_is_alive_but_not_ready(
    client: aiohttp.ClientSession, url: str, operations: Operations
) -> None:
    """While the server stops it is alive, not ready, and takes no offers: 503, Retry-After."""
    await operations.drain(5)
    async with client.get(url + "healthz") as response:
        assert response.status == 200
    async with client.get(url + "readyz") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
    headers = {"Content-Type": "application/sdp"}
    async with client.post(url + "negative/session", data="v=0\r\n", headers=headers) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")


async def test_others_may_be_in_the_way(
    client: aiohttp.ClientSession, url: str, operations: Operations
) -> None:
    """Whatever turns visitors away makes the server not ready, and says why; what else a server
    has to tell is among its metrics."""
    busy = ["The server is busy."]
    operations.obstacles.append(lambda: busy[0])
    operations.readings.append(Reading("turned_away", "Visitors", lambda: 7.0, rises=True))
    async with client.get(url + "readyz") as response:
        assert response.status == 503
        assert (await response.json(content_type=None))["detail"] == "The server is busy."
    found = await metrics(client, url)
    assert (found["rtcstream_ready",], found["rtcstream_turned_away_total",]) == (0, 7)
    busy[0] = ""
    async with client.get(url + "readyz") as response:
        assert response.status == 200


# Metrics


async def test_metrics_of_live_and_ended_sessions(
    client: aiohttp.ClientSession, url: str, operations: Operations
) -> None:
    """The metrics count sessions by state, what they did and why they ended; what has ended stays
    counted, and no label is a session's."""
    async with testing.connect(sessions_of(operations, "negative")) as peer:
        for _ in range(3):
            await peer.apply(scene(64, 48))
        found = await metrics(client, url)
        assert found["rtcstream_sessions", "live", "negative"] == 1
        assert found["rtcstream_sessions", "half-open", "negative"] == 0
        assert found["rtcstream_sessions", "live", "failing"] == 0
        assert found["rtcstream_frames_in_total", "negative"] >= 3
        frames = found["rtcstream_frames_out_total", "negative"]
        assert frames >= 3
        assert found["rtcstream_bytes_in_total", "negative"] > 0
        assert found["rtcstream_bytes_out_total", "negative"] > 0
        assert found["rtcstream_packets_in_total", "negative"] >= 3
        assert found["rtcstream_packets_out_total", "negative"] >= 3
        assert found["rtcstream_packets_lost_total", "negative"] == 0
        assert found["rtcstream_errors_total", "negative"] == 0
        for stage in ("decode", "function", "encode", "total"):
            assert found["rtcstream_stage_seconds_count", stage, "negative"] >= 3
            assert found["rtcstream_stage_seconds_sum", stage, "negative"] > 0
        assert peer.session is not None
        name = peer.session.id
    async with testing.connect(sessions_of(operations, "failing")) as peer:
        peer.send(scene(64, 48))
        await peer.message("log", level="error")
    found = await metrics(client, url)
    assert found["rtcstream_sessions", "live", "negative"] == 0
    assert found["rtcstream_sessions_opened_total", "negative"] == 1
    assert found["rtcstream_sessions_closed_total", "other", "negative"] == 1
    assert found["rtcstream_frames_out_total", "negative"] >= frames
    assert found["rtcstream_errors_total", "failing"] >= 1
    assert found["rtcstream_ready",] == 1
    assert found["rtcstream_http_answers_total", "200"] >= 1
    assert not any(name[:6] in label for labels in found for label in labels)
    if sys.platform == "linux":
        assert found["process_resident_memory_bytes",] > 0


async def test_half_open_sessions_are_counted_apart(
    client: aiohttp.ClientSession, url: str, operations: Operations
) -> None:
    """A session without a connection yet is half-open, and the load is among the metrics."""
    async with testing.connect(sessions_of(operations, "negative")) as peer:
        assert peer.session is not None
        peer.session.live = False
        found = await metrics(client, url)
    assert found["rtcstream_sessions", "half-open", "negative"] == 1
    assert found["rtcstream_event_loop_lag_seconds",] >= 0


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"Via": "1.1 proxy"},
        {"Host": "192.0.2.7:8080"},
    ],
)
async def test_metrics_are_not_for_everybody(
    headers: dict[str, str], client: aiohttp.ClientSession, url: str
) -> None:
    """Who asks through a proxy, or for another name than this machine's own, needs the token."""
    async with client.get(url + "metrics", headers=headers) as response:
        assert response.status == 403
        assert "admin token" in (await response.json(content_type=None))["detail"]
    async with client.get(url + "metrics", headers=headers | BEARER) as response:
        assert response.status == 200


async def test_metrics_without_their_extra(
    client: aiohttp.ClientSession, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where prometheus-client is not installed, the answer is 501 and says what to install."""
    ordinary = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return ordinary(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "rtcstream.exporter", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    async with client.get(url + "metrics") as response:
        assert response.status == 501
        assert "rtcstream[metrics]" in (await response.json(content_type=None))["detail"]


async def test_open_metrics_where_they_are_asked_for(
    client: aiohttp.ClientSession, url: str
) -> None:
    """A scraper that prefers OpenMetrics gets it."""
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with client.get(url + "metrics", headers=headers) as response:
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")


# The operator's page


@pytest.mark.parametrize(
    "token", ["short", "with spaces in it, many", "täglich-ein-neues-kennwort", "x" * 15, ""]
)
def test_a_token_that_is_too_weak(token: str) -> None:
    """A token that could be guessed, or that no header carries, is refused with what to do."""
    with pytest.raises(CommandError, match=r"at least 16 ASCII .*token_urlsafe"):
        ServerOptions(admin_token=token).check()


async def test_without_a_token_there_is_no_page(client: aiohttp.ClientSession) -> None:
    """A server without an admin token answers 404 to all of /admin; it takes it from its
    environment, too."""
    async with listening(Stream(negative), ServerOptions(port=0)) as url:
        for path in ("admin", "admin/", "admin/state.json", "admin/static/admin.js"):
            async with client.get(url + path, headers=BEARER, allow_redirects=False) as response:
                assert response.status == 404
        for path in ("admin/sign-in", "admin/sign-out"):
            async with client.post(url + path, headers=BEARER) as response:
                assert response.status == 404


async def test_the_token_may_be_in_the_environment(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RTCSTREAM_ADMIN_TOKEN in the environment is as good as the option."""
    monkeypatch.setenv("RTCSTREAM_ADMIN_TOKEN", TOKEN)
    async with (
        listening(Stream(negative), ServerOptions(port=0)) as url,
        client.get(url + "admin/state.json", headers=BEARER) as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-token-wrong-token"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer"},
        {"Cookie": "rtcstream_admin=1.2"},
        {"Cookie": "rtcstream_admin=99999999999.aa"},
        {"Cookie": f"rtcstream_admin={TOKEN}"},
        {"Cookie": "rtcstream_admin=" + "9" * 3000 + ".a"},
    ],
)
async def test_strangers_are_told_nothing(
    headers: dict[str, str], client: aiohttp.ClientSession, url: str
) -> None:
    """Without the token or its cookie there is no state, and nothing can be closed: 401."""
    for method, path in (("GET", "admin/state.json"), ("DELETE", "admin/sessions/abc")):
        async with client.request(method, url + path, headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_signing_in_and_out(
    client: aiohttp.ClientSession, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is exchanged for a cookie that scripts and other sites do not have, and that ends:
    by signing out, and after half a day."""
    async with client.post(url + "admin/sign-in") as response:
        assert response.status == 401
    async with client.post(url + "admin/sign-in", headers=BEARER) as response:
        assert response.status == 204
        [cookie] = response.headers.getall("Set-Cookie")
        assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
        assert "Secure" not in cookie and "Path" not in cookie and TOKEN not in cookie
    async with client.get(url + "admin/state.json") as response:
        assert response.status == 200
    async with client.get(url + "negative/stream.json") as response:
        assert "Cookie" not in response.request_info.headers
    with monkeypatch.context() as later:
        import time

        now = time.time()
        later.setattr("rtcstream.admin.time.time", lambda: now + SIGNED_IN + 1)
        async with client.get(url + "admin/state.json") as response:
            assert response.status == 401
    async with client.post(url + "admin/sign-out") as response:
        assert response.status == 204
    async with client.get(url + "admin/state.json") as response:
        assert response.status == 401


async def test_signing_in_behind_a_proxy(client: aiohttp.ClientSession) -> None:
    """Behind a proxy that has the certificate, and is named, the cookie is sent by https alone."""
    options = ServerOptions(port=0, admin_token=TOKEN, trusted_proxies=("127.0.0.1",))
    forwarded = BEARER | {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    async with (
        listening(Stream(negative), options) as url,
        client.post(url + "admin/sign-in", headers=forwarded) as response,
    ):
        assert "Secure" in response.headers["Set-Cookie"]


async def test_state_of_a_live_session(
    client: aiohttp.ClientSession, url: str, operations: Operations
) -> None:
    """The state names each session by a part of its id that does not open it, and has its figures
    and the streams' totals."""
    async with testing.connect(sessions_of(operations, "negative")) as peer:
        await peer.apply(scene(64, 48))
        await peer.message("stats")
        async with client.get(url + "admin/state.json", headers=BEARER) as response:
            state = await response.json()
        assert peer.session is not None
        [session] = state["sessions"]
        assert session["id"] == peer.session.id[:12] != peer.session.id
        assert (session["stream"], session["state"], session["errors"]) == (
            "negative",
            "running",
            0,
        )
        assert session["bitrate"] > 0 and session["fpsOut"] > 0
        assert len(session["latency"]) == 2
        assert session["age"] > 0
        totals = {stream["name"]: stream for stream in state["streams"]}
        assert totals["negative"]["open"] == totals["negative"]["opened"] == 1
        assert totals["failing"]["open"] == 0
        await until(lambda: operations.history())
        async with client.get(url + "admin/state.json", headers=BEARER) as response:
            [*_, sample] = (await response.json())["history"]
        assert sample[1] == 1  # session
        async with client.get(
            url + f"admin/state.json?since={sample[0]}", headers=BEARER
        ) as response:
            assert sample not in (await response.json())["history"]
    async with client.get(url + "admin/state.json?since=now", headers=BEARER) as response:
        assert response.status == 400


async def test_closing_a_session(
    client: aiohttp.ClientSession, url: str, operations: Operations
) -> None:
    """The operator closes a session, which is told so; another site's page cannot, whatever it
    knows."""
    async with testing.connect(sessions_of(operations, "negative")) as peer:
        assert peer.session is not None
        path = f"{url}admin/sessions/{peer.session.id[:12]}"
        foreign = BEARER | {"Origin": "https://evil.example"}
        async with client.delete(path, headers=foreign) as response:
            assert response.status == 403
        assert not peer.session.closed.is_set()
        async with client.delete(path, headers=BEARER | {"Origin": url.rstrip("/")}) as response:
            assert response.status == 204
        assert peer.session.closed.is_set()
        await until(lambda: any(m["type"] == "end" for m in peer.messages))
        [end] = [message for message in peer.messages if message["type"] == "end"]
        assert end["reason"] == "closed by the operator"
        async with client.delete(path, headers=BEARER) as response:
            assert response.status == 404
    found = await metrics(client, url)
    assert found["rtcstream_sessions_closed_total", "operator", "negative"] == 1


async def test_the_page_and_its_files(client: aiohttp.ClientSession, url: str) -> None:
    """The page and its files come by relative addresses, in no frame; no other file comes."""
    async with client.get(url + "admin", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (307, "./admin/")
    async with client.get(url + "admin/") as response:
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        text = await response.text()
    assert '="/' not in text and "http:" not in text
    for name in ("admin.js", "admin.css", "style.css", "history.js", "canvas.js", "favicon.svg"):
        async with client.get(url + f"admin/static/{name}") as response:
            assert response.status == 200
    for name in ("index.html", "..%2fadmin.py", "nothing.js"):
        async with client.get(url + f"admin/static/{name}") as response:
            assert response.status == 404


async def test_an_application_keeps_its_own_routes(client: aiohttp.ClientSession) -> None:
    """Where the application has /metrics, or anything of these, itself, that is what answers, and
    what guards the application guards it."""

    async def own(request: web.Request) -> web.Response:
        return web.Response(text="mine")

    guarded = []

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own(request):
            guarded.append(request.path)
        return await handler(request)

    app = web.Application(middlewares=[guard])
    app.router.add_get("/healthz", own)
    app.router.add_get("/metrics", own)
    async with listening(app, ServerOptions(port=0)) as url:
        for path in ("healthz", "metrics"):
            async with client.get(url + path) as response:
                assert await response.text() == "mine"
        async with client.get(url + "readyz") as response:
            assert response.status == 200
        assert guarded == ["/healthz", "/metrics"]
