"""Whom proxies are believed to speak for, and that nobody else is."""

import asyncio
import ipaddress

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from rtcstream.signaling import SAME_ORIGIN, Problem, Proxies
from rtcstream.signaling.forwarded import Hop, parse_forwarded, parse_node, parse_x_forwarded
from tests.signaling.conftest import serving

PROXY, OUTER = "10.0.0.1", "10.0.0.2"
ADDRESSES = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))


@pytest.mark.parametrize(
    ("header", "hops"),
    [
        ("", []),
        (", ,", []),
        ("for=192.0.2.1", [Hop("192.0.2.1")]),
        ('For="[2001:db8::17]:4711"', [Hop("2001:db8::17")]),
        (
            'for=192.0.2.1;proto=https;host="a.example:8443", for=10.0.0.2',
            [Hop("192.0.2.1", "https", "a.example:8443"), Hop("10.0.0.2")],
        ),
        ("for=_secret;by=_proxy", [Hop(None)]),
        ('for="unknown"', [Hop(None)]),
        ('host="a, b;c\\"d"', [Hop(None, None, 'a, b;c"d')]),
    ],
)
def test_forwarded(header: str, hops: list[Hop]) -> None:
    """The header of RFC 7239: lists, quoted strings, names that hide an address."""
    assert parse_forwarded(header) == hops


@pytest.mark.parametrize(
    "header", ["for", "for=", 'for="a', "for=a b", "for=[::1]", "for=a;for=b", "=a", "x" * 5000]
)
def test_malformed_forwarded(header: str) -> None:
    """What is not of RFC 7239 is an error, and never half believed."""
    with pytest.raises(ValueError, match="Forwarded"):
        parse_forwarded(header)


@given(st.text(max_size=200) | st.text('for=proto;host,"\\ []:.019af_', max_size=60))
def test_forwarded_of_any_text(text: str) -> None:
    """Any header gives hops whose addresses are addresses, or a ValueError."""
    try:
        hops = parse_forwarded(text)
    except ValueError:
        return
    for hop in hops:
        assert hop.address is None or str(ipaddress.ip_address(hop.address)) == hop.address


@given(ADDRESSES, st.integers(1, 65535))
def test_forwarded_round_trip(address: str, port: int) -> None:
    """Every address, with and without its port, is read as it was written."""
    node = f"[{address}]" if ":" in address else address
    for form in (f'for="{node}"', f'for="{node}:{port}"'):
        [hop] = parse_forwarded(form)
        assert hop.address == parse_node(address)


@given(
    st.dictionaries(st.sampled_from(["X-Forwarded-For", "X-Forwarded-Host"]), st.lists(st.text()))
)
def test_x_forwarded_of_any_text(headers: dict[str, list[str]]) -> None:
    """Any headers give hops, or a ValueError for what is too long."""
    for hop in parse_x_forwarded(headers):
        assert hop.address is None or str(ipaddress.ip_address(hop.address)) == hop.address


@pytest.mark.parametrize(
    ("remote", "headers", "client"),
    [
        ("192.0.2.9", {"X-Forwarded-For": ["1.1.1.1"]}, Hop("192.0.2.9")),
        (PROXY, {}, Hop(PROXY)),
        (PROXY, {"X-Forwarded-For": ["192.0.2.1"]}, Hop("192.0.2.1")),
        (PROXY, {"X-Forwarded-For": ["6.6.6.6, 192.0.2.1"]}, Hop("192.0.2.1")),
        (PROXY, {"X-Forwarded-For": ["6.6.6.6", "192.0.2.1"]}, Hop("192.0.2.1")),
        (PROXY, {"X-Forwarded-For": [f"6.6.6.6, 192.0.2.1, {OUTER}"]}, Hop("192.0.2.1")),
        (PROXY, {"X-Forwarded-For": [f"6.6.6.6, nonsense, {OUTER}"]}, Hop(OUTER)),
        (PROXY, {"X-Forwarded-For": [OUTER]}, Hop(OUTER)),
        (
            PROXY,
            {
                "X-Forwarded-For": [f"192.0.2.1, {OUTER}"],
                "X-Forwarded-Proto": ["https"],
                "X-Forwarded-Host": ["a.example"],
            },
            Hop("192.0.2.1", "https", "a.example"),
        ),
        (
            PROXY,
            {"X-Forwarded-For": ["6.6.6.6, 192.0.2.1"], "X-Forwarded-Proto": ["http, https"]},
            Hop("192.0.2.1", "https"),
        ),
        (PROXY, {"X-Forwarded-Host": ["a.example"]}, Hop(PROXY, None, "a.example")),
        (PROXY, {"Forwarded": ["for=192.0.2.1;proto=https"]}, Hop("192.0.2.1", "https")),
        (PROXY, {"Forwarded": ["for=6.6.6.6, for=192.0.2.1"]}, Hop("192.0.2.1")),
        (PROXY, {"Forwarded": ["broken"]}, Hop(PROXY)),
        (
            PROXY,
            {"Forwarded": ["for=6.6.6.6"], "X-Forwarded-For": ["192.0.2.1"]},
            Hop(PROXY),
        ),
        ("::ffff:10.0.0.1", {"X-Forwarded-For": ["192.0.2.1"]}, Hop("192.0.2.1")),
        (None, {"X-Forwarded-For": ["192.0.2.1"]}, Hop(None)),
    ],
)
def test_rightmost_untrusted(
    remote: str | None, headers: dict[str, list[str]], client: Hop
) -> None:
    """Only named proxies are believed, from the right; what does not agree is not believed."""
    assert Proxies(["10.0.0.0/8"]).client(remote, headers) == client


@given(st.lists(ADDRESSES, max_size=5), ADDRESSES)
def test_client_cannot_choose_its_address(invented: list[str], real: str) -> None:
    """Whatever a client writes in front, a proxy's word of whom it saw is what counts."""
    proxies = Proxies(["fd00::/16"])
    if not proxies.trusts(real):
        chain = ", ".join([*invented, real])
        assert proxies.client("fd00::1", {"X-Forwarded-For": [chain]}).address == parse_node(real)


@pytest.mark.parametrize("proxy", ["proxy.example", "10.0.0.0/33", ""])
def test_proxy_that_is_no_address(proxy: str) -> None:
    """A proxy that is neither an address nor a network is refused when the server starts."""
    with pytest.raises(ValueError, match="write an IP address"):
        Proxies([proxy])


@pytest.mark.parametrize(("trusted", "believed"), [([], False), (["127.0.0.1"], True)])
async def test_request_as_the_client_made_it(trusted: list[str], believed: bool) -> None:
    """Behind a named proxy handlers see the client's address, scheme and host; else the peer's."""

    async def tell(request: web.Request) -> web.Response:
        kept = "X-Forwarded-For" in request.headers
        return web.json_response([request.remote, request.scheme, request.headers["Host"], kept])

    app = web.Application(middlewares=[Proxies(trusted).middleware()])
    app.router.add_get("/", tell)
    async with serving(app) as client:
        headers = {
            "Host": "inside",
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "public.example",
        }
        answer = await (await client.get("/", headers=headers)).json()
    real = ["192.0.2.7", "https", "public.example", False]
    assert answer == (real if believed else ["127.0.0.1", "http", "inside", False])


async def test_header_that_is_not_utf8() -> None:
    """Beside what proxies write, a header of other bytes is a 400 that names it; it was a 500."""
    app = web.Application(middlewares=[Proxies([]).middleware()])
    async with serving(app) as asked:
        reader, writer = await asyncio.open_connection(asked.host, asked.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=x\r\nAccept: \xff\r\n")
        writer.write(b"Connection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"'Accept'" in answer


@pytest.mark.parametrize("origin", ["\udce4", "http://[::", "x" * 5000])
def test_origin_that_is_none_is_shown_as_it_can_be(origin: str) -> None:
    """A refusal shows an `Origin` of any bytes in ASCII, at a bearable length."""
    with pytest.raises(Problem) as refusal:
        SAME_ORIGIN.check({"Origin": origin, "Host": "x"})
    assert refusal.value.detail.isascii() and len(refusal.value.detail) < 1000
