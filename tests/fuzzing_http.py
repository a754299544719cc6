"""Mutated HTTP requests to a server that is served as it always is: `benchmarks.fuzz`."""

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import web

from rtcstream.limits import LIFTED
from rtcstream.operations import Operations
from rtcstream.overload import Overload
from rtcstream.server import ServerOptions, listening
from tests.fuzzing import (
    CORPUS,
    FRAGMENTS,
    Case,
    Failed,
    check_answer,
    check_words,
    make_query,
)
from tests.fuzzing_sessions import LONGEST, on_loopback, streams
from tests.mutations import NUMBERS, TOKENS, mutated, mutated_bytes

PATIENCE = 0.2
"""Seconds for which a request that may be none is given time for an answer."""
ADMIN_TOKEN = "an-admin-token-to-fuzz-with"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "x")
PATHS = (
    *("", "session", "session/", "session/x", "session/..%2f", "stream.json", "stream.json/", "x"),
    *("static/page.js", "static/", "static/..%2f..%2fpyproject.toml", "static/%00", "openapi.json"),
    *("static//etc/passwd", "queue", "session/%ff", "session/%E2%82%AC", "session/" + "a" * 500),
)
OWN_PATHS = (
    *("/", "/healthz", "/readyz", "/metrics", "/admin", "/admin/", "/admin/static/admin.js", "/*"),
    *("/admin/static/..%2fadmin.html", "/admin/state.json?since=0", "/admin/state.json?since=nan"),
    *("/admin/state.json?since=-inf", "/admin/state.json?since=1e999", "/admin/state.json?since=x"),
    *("/admin/sign-in", "/admin/sign-out", "/admin/sessions/x", "//", "/%2e%2e/", "/filter"),
)
HEADERS = (
    *("Content-Encoding: gzip", "Content-Encoding: ", "Content-Type: application/sdp; charset=x"),
    *("Content-Type: ", "Content-Type: application/json", "Content-Type: \xff", "Content-Type: /"),
    *(
        "Origin: null",
        "Origin: https://evil.example",
        "Origin: http://[::",
        "Origin: \xe4",
        "Origin:",
    ),
    *("Host: evil.example", "Host: [", "Host: localhost:99999", "Host: a b", "Host: 127.0.0.1:"),
    *("If-Match: *", 'If-Match: "x"', "Rtcstream-Ticket: x", "Rtcstream-Ticket: " + "t" * 5000),
    *(
        "Rtcstream-Resume: x",
        "Rtcstream-Resume: \xff",
        "Authorization: Bearer x",
        "Authorization: x",
    ),
    *(f"Authorization: Bearer {ADMIN_TOKEN}", "Cookie: rtcstream=x", "Cookie: rtcstream_admin=1.x"),
    *("Cookie: rtcstream_admin=99999999999999999999.\xff", "Cookie: ;=;", "Forwarded: for=1.2.3.4"),
    *("Forwarded: for=", "X-Forwarded-For: x, y", "X-Forwarded-Host: [", "X-Forwarded-Proto: ftp"),
    *("Accept: text/html", "Accept: \xff", "Accept: application/openmetrics-text; version=x;q=x"),
    *("Expect: 100-continue", "Expect: x", "Range: bytes=5-2", "Range: bytes=-", "Range: x"),
    *("If-None-Match: x", "If-Modified-Since: x", "If-Range: x", "Upgrade: websocket", "TE: x"),
    *("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x", "Via: 1.1 x"),
    *(
        "Transfer-Encoding: chunked",
        "Content-Length: -1",
        "Content-Length: 99999999",
        "X: " + "x" * 9000,
    ),
    *("Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Accept-Encoding: gzip;q=x, br"),
)
BREAKS = re.compile(r"(?i)(Transfer-Encoding|Content-Length|Expect|Upgrade)")
"""Headers with which a request is not what it says, so that it may remain without an answer."""


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Server(NamedTuple):
    port: int
    operations: Operations
    statuses: Counter[int]

    async def ask(self, request: bytes, *, patience: float = LONGEST) -> Answered | None:
        """The answer to a request as it is; None where there is none within the patience."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(patience):
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                while head.startswith(b"HTTP/1.1 100"):
                    head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                pairs = (line.partition(": ") for line in lines[1:])
                headers = {name.lower(): value for name, _, value in pairs}
                endless = headers.get("content-type") == "text/event-stream"
                answer = Answered(
                    int(lines[0].split()[1]),
                    headers,
                    b"" if endless else await reader.read(),
                )
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        self.statuses[answer.status] += 1
        return answer


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[Server]:
    """A server with a stream of each kind, its limits for one address lifted, on loopback."""
    app = web.Application()
    for name, stream in streams().items():
        app.add_subapp(f"/{name}/", stream.app())
    operations = Operations(Overload(None, None))
    options = ServerOptions(port=0, limits=LIFTED, admin_token=ADMIN_TOKEN, max_lag=None)
    with on_loopback():
        async with listening(app, options, operations) as url:
            yield Server(int(url.rsplit(":", 1)[1].strip("/")), operations, Counter())


def request(method: str, path: str, headers: dict[str, str], odd: list[str], body: bytes) -> bytes:
    """A request's bytes, by which the connection ends."""
    replaced = {line.partition(":")[0].lower() for line in odd}
    all_ = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(body)), **headers}
    lines = [f"{name}: {value}" for name, value in all_.items() if name.lower() not in replaced]
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, *odd, "", ""])
    return head.encode("latin-1", "replace") + body


def _odd(random: Random) -> list[str]:
    return random.sample(HEADERS, random.choice((0, 0, 0, 1, 1, 2)))


def _body(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


async def fuzz(case: Case, server: Server) -> None:
    """One case: a request or, where it begins a session, several. Raises Failed."""
    random = case.random
    sent: list[bytes] = []
    try:
        async with asyncio.timeout(3 * LONGEST):
            stream = f"/{random.choice(list(streams()))}/"
            what = random.random()
            if what < 0.6:
                await _begin(server, stream, random, sent)
            elif what < 0.8:
                await _elsewhere(server, stream, random, sent)
            else:
                text = random.choice(list(CORPUS.values()))
                whole = request("POST", f"{stream}session", SDP, _odd(random), _body(text))
                sent.append(mutated_bytes(whole[: random.choice((200, 400, None))], random))
                check(await server.ask(sent[-1], patience=PATIENCE), sent[-1])
    except (Exception, asyncio.CancelledError) as error:
        raise Failed(case.told(repr(sent), error)) from error


SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


async def _begin(server: Server, stream: str, random: Random, sent: list[bytes]) -> None:
    """A POST with an offer, and what goes on if it begins a session."""
    text = random.choice(list(CORPUS.values()))
    offer = mutated(text, random) if random.random() < 0.8 else text
    query = ""
    if random.random() < 0.4:
        query = "?" + quote(make_query(random), safe="=&%+", errors="surrogatepass")
    answer = await _ask(server, "POST", f"{stream}session{query}", SDP, _body(offer), random, sent)
    if answer is None or answer.status != 201:
        return
    check_answer(offer, answer.body.decode())
    session = stream + answer.headers["location"]
    ufrag = re.search(r"a=ice-ufrag:(\S+)", offer)
    for _ in range(random.choice((0, 0, 1, 3))):
        fragment = random.choice(FRAGMENTS)
        if ufrag and random.random() < 0.8:
            fragment = re.sub(r"(a=ice-ufrag:)\S+", rf"\g<1>{ufrag[1]}", fragment)
        fragment = mutated(fragment, random)
        await _ask(server, "PATCH", session, FRAGMENT, _body(fragment), random, sent)
    if random.random() < 0.8:
        sent.append(request("DELETE", session, {}, [], b""))
        ended = check(await server.ask(sent[-1]), sent[-1])
        assert ended is not None and ended.status == 200, ended


async def _elsewhere(server: Server, stream: str, random: Random, sent: list[bytes]) -> None:
    """A request with any method, to anywhere."""
    path = stream + random.choice(PATHS) if random.random() < 0.6 else random.choice(OWN_PATHS)
    if random.random() < 0.3:
        odd = random.choice((*TOKENS, *NUMBERS))
        path += quote(odd[:3000], safe="/?&=%;", errors="surrogatepass")
    headers = random.choice((SDP, FRAGMENT, {"Content-Type": "x"}))
    body = _body(random.choice(("", "", "x", random.choice(FRAGMENTS))))
    await _ask(server, random.choice(METHODS), path, headers, body, random, sent)


async def _ask(
    server: Server,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    random: Random,
    sent: list[bytes],
) -> Answered | None:
    odd = _odd(random)
    sent.append(request(method, path, headers, odd, body))
    head, _, _ = sent[-1].partition(b"\r\n\r\n")
    # Who sends too much is refused before all of it is read, and may miss the answer.
    whole = not any(map(BREAKS.match, odd)) and max(map(len, head.split(b"\r\n"))) < 8000
    answer = check(await server.ask(sent[-1], patience=LONGEST if whole else PATIENCE), sent[-1])
    assert answer is not None or not whole, "there was no answer"
    return answer


def check(answer: Answered | None, asked: bytes) -> Answered | None:
    """An answer is no fault of the server's, and says what is wrong where something is."""
    if answer is None:
        return None
    assert answer.status < 500 or answer.status == 503, answer
    if answer.headers.get("content-type") == "application/problem+json" and answer.body:
        problem = json.loads(answer.body)
        assert problem["status"] == answer.status
        check_words(f"{problem['title']}: {problem['detail']}")
        assert (answer.status in (429, 503)) <= ("retry-after" in answer.headers), answer
    return answer
