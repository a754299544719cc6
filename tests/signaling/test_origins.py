"""Who may use the routes: other sites by CORS, and names that a browser came by."""

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from rtcstream.signaling import (
    CORS_ORIGINS,
    Origins,
    Problem,
    setup,
    trusted_hosts,
)
from rtcstream.signaling.hosts import host_name
from tests.signaling.conftest import (
    FOREIGN,
    FRIEND,
    OFFER,
    SDP,
    Client,
    FakeNegotiator,
    mounted,
    problem_of,
    serving,
    stream_app,
)

# OPTIONS and origins


async def test_options(client: Client) -> None:
    """OPTIONS tells the methods and media types, and nothing of CORS where nobody asks."""
    session = await client.options("/session")
    assert (session.status, session.headers["Allow"]) == (204, "POST, OPTIONS")
    assert session.headers["Accept-Post"] == "application/sdp"
    resource = await client.options("/session/x")
    assert (resource.status, resource.headers["Allow"]) == (204, "PATCH, DELETE, OPTIONS")
    assert resource.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert not [name for name in session.headers if name.startswith("Access-Control")]


async def test_preflight(open_to_friend: Client) -> None:
    """The preflight of an allowed origin is told the methods and headers that it may use."""
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": "PATCH"}
    response = await open_to_friend.options("/session/x", headers=headers)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    assert response.headers["Access-Control-Allow-Methods"] == "PATCH, DELETE, OPTIONS"
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    standard = {"Content-Type", "Authorization", "If-Match"}
    assert set(allowed) == standard | {"Rtcstream-Ticket", "Rtcstream-Resume"}
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "GET"])
async def test_foreign_origin(client: Client, negotiator: FakeNegotiator, method: str) -> None:
    """A foreign origin is 403 by default, its preflight too, and is told of the option."""
    path = "/stream.json" if method == "GET" else "/session"
    headers = SDP | FOREIGN | {"Access-Control-Request-Method": "POST"}
    response = await client.request(method, path, data=OFFER, headers=headers)
    assert "--cors-origin https://foreign.example" in await problem_of(response, 403)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert negotiator.offers == []


async def test_allowed_origin(open_to_friend: Client) -> None:
    """An allowed origin can read every answer and its headers, errors included."""
    origin = {"Origin": FRIEND}
    answers = [
        await open_to_friend.get("/stream.json", headers=origin),
        await open_to_friend.get("/static/client.js", headers=origin),
        await open_to_friend.post("/session", data=OFFER, headers=SDP | origin),
        await open_to_friend.post("/session", data=OFFER, headers=origin),
        await open_to_friend.delete("/session/x", headers=origin),
        await open_to_friend.get("/session", headers=origin),
    ]
    assert [answer.status for answer in answers] == [200, 200, 201, 415, 404, 405]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Vary"] == "Origin"
    foreign = await open_to_friend.get("/stream.json", headers=FOREIGN)
    await problem_of(foreign, 403)
    assert foreign.headers["Vary"] == "Origin"


@pytest.mark.parametrize(("own", "status"), [(None, 200), ([], 403), ([FRIEND], 403)])
async def test_inherited_origins(
    negotiator: FakeNegotiator, site: Path, own: list[str] | None, status: int
) -> None:
    """Origins set for the outer application count for a stream that has none of its own."""
    app = web.Application()
    page, static = site / "page.html", site / "static"
    setup(app, negotiator, page=page, static=static, cors_origins=own)
    parent = mounted(app, "/effect/")
    parent[CORS_ORIGINS] = Origins(["https://foreign.example"])
    async with serving(parent) as client:
        response = await client.get("/effect/stream.json", headers=FOREIGN)
        assert response.status == status
        assert ("Access-Control-Allow-Origin" in response.headers) == (status == 200)


HOST = {"Host": "media.example:8080"}


@pytest.mark.parametrize(
    ("headers", "allowed", "admitted"),
    [
        (HOST, [], True),
        (HOST | {"Origin": "http://media.example:8080"}, [], True),
        (HOST | {"Origin": "http://MEDIA.example:8080"}, [], True),
        (HOST | {"Origin": "http://media.example"}, [], False),
        (HOST | {"Origin": "http://localhost:8080"}, [], False),
        ({"Host": "media.example"} | {"Origin": "https://media.example"}, [], True),
        ({"Host": "media.example:443"} | {"Origin": "https://media.example"}, [], True),
        ({"Host": "media.example:443"} | {"Origin": "http://media.example"}, [], False),
        ({"Host": "[::1]:8080"} | {"Origin": "http://[::1]:8080"}, [], True),
        (HOST | {"Origin": "https://a.example", "X-Forwarded-Host": "a.example"}, [], False),
        (HOST | {"Origin": "null"}, [], False),
        (HOST | {"Origin": "null"}, [FRIEND], False),
        (HOST | {"Origin": "null"}, ["*"], True),
        (HOST | {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, [], True),
        (HOST | {"Origin": "https://a.example", "Sec-Fetch-Site": "same-site"}, [], False),
        (HOST | {"Origin": "https://a.example", "Sec-Fetch-Site": "cross-site"}, ["*"], True),
        (HOST | {"Origin": FRIEND}, ["https://FRIEND.example:443/"], True),
        (HOST | {"Origin": FRIEND + ":444"}, [FRIEND], False),
        (HOST | {"Origin": "http://friend.example"}, [FRIEND], False),
        (HOST | {"Origin": "http://sub.friend.example"}, [FRIEND], False),
        ({"Origin": "http://media.example"}, [], False),
        ({"Origin": "http://:80"}, [], False),
        ({"Origin": ""}, [], False),
    ],
)
def test_origin_rule(headers: dict[str, str], allowed: list[str], admitted: bool) -> None:
    """Our own pages, clients without an origin and listed origins pass; nobody else does."""
    if admitted:
        Origins(allowed).check(headers)
    else:
        with pytest.raises(Problem) as caught:
            Origins(allowed).check(headers)
        assert caught.value.status == 403


@pytest.mark.parametrize("origin", ["friend.example", "https://a.example/path", "null", "https://"])
def test_malformed_allowed_origin(origin: str) -> None:
    """An origin without its scheme, or with a path, is refused when the server starts."""
    with pytest.raises(ValueError, match="is not an origin: write a scheme"):
        Origins([origin])


# Hosts


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("192.168.1.7", 200),
        ("[::1]:8080", 200),
        ("[2001:db8::7]", 200),
        ("localhost:8080", 200),
        ("LocalHost", 200),
        ("effect.localhost:8080", 200),
        ("media.example:1234", 200),
        ("MEDIA.EXAMPLE", 200),
        ("other.example", 200),
        ("sub.media.example", 403),
        ("evil.example:8080", 403),
        ("notlocalhost", 403),
        ("127.0.0.1.evil.example", 403),
        ("evil.example@127.0.0.1", 403),
        ("", 403),
    ],
)
async def test_trusted_hosts(
    negotiator: FakeNegotiator, site: Path, host: str, status: int
) -> None:
    """Addresses, localhost and known names are served; another Host header is 403."""
    parent = web.Application(
        middlewares=[trusted_hosts(["media.example", "https://other.example:8443"])]
    )
    parent.add_subapp("/effect/", stream_app(negotiator, site))
    async with serving(parent) as client:
        response = await client.get("/effect/", headers={"Host": host})
        if status == 403:
            assert "--cors-origin" in await problem_of(response, 403)
        else:
            assert response.status == status


async def test_all_hosts() -> None:
    """A star trusts every host, as it allows every origin."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application(middlewares=[trusted_hosts(["*"])])
    handler: Handler = hello
    app.router.add_get("/", handler)
    async with serving(app) as client:
        assert (await client.get("/", headers={"Host": "any.example"})).status == 200


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Media.Example:80", "media.example"),
        ("https://media.example", "media.example"),
        ("[::1]:80", "::1"),
        ("localhost.", "localhost"),
        ("a b", ""),
        ("a:b", ""),
        ("user@a", ""),
    ],
)
def test_host_name(authority: str, host: str) -> None:
    """The host of an authority or origin comes in lower case without port and brackets."""
    assert host_name(authority) == host
