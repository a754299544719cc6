"""The OpenAPI description: what a real server answers is what it says."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
import requests
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rtcstream import Image, Stream
from rtcstream.limits import LIFTED, Limits
from rtcstream.server import ServerOptions, listening
from tests.fuzzing import CORPUS, controlled
from tests.fuzzing_sessions import on_loopback

ADMIN_TOKEN = "an-admin-token-to-check-with"
TOKEN = "a-token-of-somebody"
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REQUESTS = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
"""How many are made of each operation: the same each time."""
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}

for media_type in ("application/sdp", "application/trickle-ice-sdpfrag"):

    @schemathesis.serializer(media_type)
    def serialize(context: Any, value: Any) -> bytes:
        """Both are texts."""
        return str(value).encode("utf-8", "surrogatepass")


@contextlib.contextmanager
def served(app: web.Application | Stream, **options: Any) -> Iterator[str]:
    """A server on a thread and an event loop of its own; yields its URL."""
    ready, urls = threading.Event(), list[str]()
    ending: list[Callable[[], object]] = []

    async def run() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        ending.append(lambda: loop.call_soon_threadsafe(stop.set))
        chosen = ServerOptions(port=0, max_lag=None, max_cpu=None, **options)
        async with listening(app, chosen) as url:
            urls.append(url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    with on_loopback():
        thread.start()
        assert ready.wait(10)
        try:
            yield urls[0]
        finally:
            ending[0]()
            thread.join(10)


class Api:
    """A server, by the description that it gives of itself."""

    def __init__(self, url: str, session: requests.Session, document: Any = None) -> None:
        self.url = url
        self._session = session
        self.document = document or session.get(url + "openapi.json", timeout=5).json()
        self.schema = schemathesis.openapi.from_dict(self.document)

    def operations(self) -> Iterator[Any]:
        """Those that answer and end: not the queue's events."""
        for result in self.schema.get_all_operations():
            assert not isinstance(result, Err), result
            operation = result.ok()
            if operation.path != "/queue":
                yield operation

    def ask(self, case: Any, *, full: bool = False, **options: Any) -> Any:
        """The answer to a case, which has been checked; 503 is as it should be if ``full``."""
        headers = {**(case.headers or {}), **options.pop("headers", {})}
        case.headers = headers
        response = case.call(
            base_url=self.url.rstrip("/"),
            session=self._session,
            allow_redirects=False,
            timeout=10,
            **options,
        )
        case.validate_response(response, checks=CHECKS[full:])
        return response

    def request(self, method: str, path: str, **case: Any) -> Any:
        """A request that the description has the path of, checked."""
        options = {"headers": case.pop("headers", {}), "full": case.pop("full", False)}
        return self.ask(self.schema[path][method].Case(**case), **options)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with (
        served(Stream(controlled), limits=LIFTED, admin_token=ADMIN_TOKEN) as url,
        requests.Session() as session,
    ):
        yield Api(url, session)


def test_every_answer_is_described(api: Api) -> None:
    """Requests that schemathesis makes of each operation get statuses, headers and bodies that the
    description has, and never a 500."""
    for operation in api.operations():

        @REQUESTS
        @given(case=operation.as_strategy(), operator=st.booleans())
        def check(case: Any, operator: bool) -> None:
            api.ask(case, headers=BEARER if operator and "/admin" in case.path else {})

        check()


def test_a_life_of_a_session_is_described(api: Api) -> None:
    """201 with its headers, 204, 422, 200 and 404: the answers that random requests seldom get."""
    sdp, fragment = "application/sdp", "application/trickle-ice-sdpfrag"
    query = {"mode": "edges", "strength": "3"}
    offer = CORPUS["chromium"]
    opened = api.request("POST", "/session", body=offer, media_type=sdp, query=query)
    assert opened.status_code == 201
    session = {"id": opened.headers["location"][0].removeprefix("session/")}
    of_it = {"path_parameters": session, "media_type": fragment}

    def trickle(body: str) -> int:
        answer = api.request("PATCH", "/session/{id}", body=body, **of_it)
        return int(answer.status_code)

    assert trickle("a=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n") == 204
    assert trickle("a=ice-ufrag:another\r\na=mid:0\r\n") == 422
    assert trickle("nonsense") == 400
    path = "/session/{id}/file/{control}/{name}"
    clip = {**session, "control": "clip", "name": "clip.mp4"}
    octets = "application/octet-stream"
    sent = api.request("PUT", path, path_parameters=clip, body=b"x", media_type=octets)
    assert sent.status_code == 409
    assert api.request("OPTIONS", "/session/{id}", path_parameters=session).status_code == 204
    for status in (200, 404):
        ended = api.request("DELETE", "/session/{id}", path_parameters=session)
        assert ended.status_code == status


REFUSALS: dict[int, Callable[[Api], Any]] = {
    400: lambda api: post(api, "nonsense"),
    403: lambda api: post(api, "x", headers={"Origin": "https://evil.example"}),
    413: lambda api: post(api, "x" * 70_000),
    415: lambda api: post(api, "x", headers={"Content-Type": "text/plain"}),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusals_are_described(api: Api, status: int) -> None:
    """Each refusal of an offer is a problem, with the headers that the description has."""
    assert REFUSALS[status](api).status_code == status


def post(api: Api, body: str, **more: Any) -> Any:
    return api.request("POST", "/session", body=body, media_type="application/sdp", **more)


def test_refusals_of_a_full_guarded_server_are_described() -> None:
    """401 without a token, 409 with nothing to view, 503 where there is no room: as described."""

    def seen(image: Image) -> Image:
        return image

    stream = Stream(seen, concurrency_limit=1)
    with served(stream, auth=TOKEN) as url, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        api = Api(url, session)
        assert post(api, CORPUS["chromium_viewer"]).status_code == 409
        assert post(api, CORPUS["chromium"]).status_code == 201
        full = post(api, CORPUS["chromium"], full=True)
        assert full.status_code == 503 and full.headers["retry-after"]
        del session.headers["Authorization"]
        for operation in api.operations():
            if operation.path.startswith(("/session", "/stream")) and operation.method != "options":
                where = {"id": "x", "control": "x", "name": "x"}
                case = operation.Case(path_parameters=where, media_type="application/sdp")
                assert api.ask(case).status_code == 401


@pytest.fixture(scope="module")
def guarded() -> Iterator[Api]:
    """Of who has a token, of a server that asks for one."""
    limits = dataclasses.replace(LIFTED, sign_ins=1e9, sign_in_burst=10**9)
    with (
        served(Stream(controlled), auth=[TOKEN], limits=limits) as url,
        requests.Session() as session,
    ):
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield Api(url, session)


def test_signing_in_is_described(guarded: Api) -> None:
    """Whatever is sent to the pages where people sign in and out is answered as described."""
    for path, item in guarded.document["paths"].items():
        for method in item:
            if not path.startswith("/sign-") or method in ("servers", "parameters"):
                continue
            operation = guarded.schema[path][method]

            @REQUESTS
            @given(case=operation.as_strategy())
            def check(case: Any) -> None:
                guarded.ask(case)

            check()


def test_a_cookie_is_described(guarded: Api) -> None:
    """303 with a cookie for the right token, which opens what is said to need one; 401 and the page
    for a wrong one; after signing out the cookie opens nothing."""
    form = "application/x-www-form-urlencoded"
    with requests.Session() as browser:
        api = Api(guarded.url, browser, guarded.document)
        wrong = api.request("POST", "/sign-in", body={"token": "wrong"}, media_type=form)
        assert wrong.status_code == 401 and "text/html" in wrong.headers["content-type"][0]
        assert api.request("GET", "/stream.json").status_code == 401
        right = {"token": TOKEN, "to": "./x"}
        assert api.request("POST", "/sign-in", body=right, media_type=form).status_code == 303
        assert api.request("GET", "/stream.json").status_code == 200
        assert api.request("POST", "/sign-out").status_code == 303
        browser.headers["Accept"] = "text/html"
        assert api.request("GET", "/").status_code == 303


def test_what_a_request_needs_is_described(api: Api, guarded: Api) -> None:
    """Nothing where nobody is asked, and a token or a cookie where tokens are; of who signs in
    nothing, and of an operator another one."""
    either: list[dict[str, list[str]]] = [{"token": []}, {"cookie": []}]
    assert (api.document["security"], guarded.document["security"]) == ([{}], either)
    schemes = guarded.document["components"]["securitySchemes"]
    assert {"token", "cookie", "operator", "operatorCookie"} == schemes.keys()
    assert guarded.document["paths"]["/sign-in"]["post"]["security"] == [{}]
    assert "security" not in guarded.document["paths"]["/session"]["post"]
    operator = api.document["paths"]["/admin/state.json"]["get"]["security"]
    assert operator == [{"operator": []}, {"operatorCookie": []}]
    assert "/sign-in" not in api.document["paths"]


def test_what_is_around_a_stream_is_described() -> None:
    """A stream with tokens of its own signs people in where it is mounted, beside what the server
    has at its root."""
    app = web.Application()
    app.add_subapp("/x/", Stream(controlled).app(auth=TOKEN))
    with served(app) as url, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        paths = session.get(url + "x/openapi.json", timeout=5).json()["paths"]
    where = {name: paths[name]["servers"] for name in ("/sign-in", "/healthz")}
    assert where == {"/sign-in": [{"url": "./"}], "/healthz": [{"url": "/"}]}


def test_too_many_requests_are_described() -> None:
    """429 with Retry-After."""
    limits = Limits(post_burst=1, posts=0.1)
    with served(Stream(controlled), limits=limits) as url, requests.Session() as session:
        api = Api(url, session)
        assert post(api, "x").status_code == 400
        assert post(api, "x").status_code == 429


async def test_every_route_is_described() -> None:
    """The description has all routes of a server with a stream, and no others."""
    app = Stream(controlled).app()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    options = ServerOptions(port=0, admin_token=ADMIN_TOKEN, auth=TOKEN)
    async with (
        listening(app, options) as url,
        aiohttp.ClientSession(headers=headers) as client,
        client.get(url + "openapi.json") as response,
    ):
        paths = (await response.json())["paths"]
    routes = {
        f"{route.method} {route.resource.canonical or '/'}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "*"
    }
    described = {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method in item
        if method not in ("parameters", "servers")
    }
    # These the middleware answers, by their paths alone.
    routes |= {"GET /sign-in", "HEAD /sign-in", "POST /sign-in", "POST /sign-out"}
    # Where nothing can be sent, OPTIONS is the preflight of CORS and no more.
    assert {each for each in routes - described if not each.startswith("OPTIONS ")} == set()
    assert described - routes == set()
