"""Who may use a server: bearer tokens, people who have signed in, or the user's own rule."""

import asyncio
import hashlib
import hmac
import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from . import access_api, signed
from .buckets import Buckets, account
from .limits import DEFAULTS, Limits
from .sign_in import SignInPage, wants_page, way_and_back
from .signaling import IDENTITY, OPENAPI_SECURITY, Problem, add_paths, origins_of
from .signed import Pass

logger = logging.getLogger("rtcstream")

Authorize: TypeAlias = Callable[[web.Request], Awaitable[str | None]]
Auth: TypeAlias = str | Sequence[str] | Mapping[str, str] | Authorize
"""One token, several, tokens by the names of who has them, or a function that says who a request
is of: its identity, or None for nobody."""

SIGN_IN = web.RequestKey("rtcstream_sign_in", str)
"""The path of the sign-in page, in the requests of who has signed in there."""
COOKIE = "rtcstream"
LIFETIME = 12 * 3600
"""Seconds for which a sign-in is good."""
TOKEN_CHARACTERS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
)  # RFC 6750 section 2.1
SHORTEST, LONGEST = 8, 512
LONGEST_IDENTITY = 256
AUTHORIZE_TIMEOUT = 10.0
"""Seconds that the user's own rule may take."""
REVOKED = 10_000
"""Sign-ins that were ended before their time and are remembered as such, at most."""


class Tokens:
    """Tokens, and the identities of who has them. Raises ValueError for what can be none."""

    def __init__(self, tokens: str | Sequence[str] | Mapping[str, str]) -> None:
        if isinstance(tokens, str):
            tokens = [tokens]
        named = (
            dict(tokens)
            if isinstance(tokens, Mapping)
            else {_name(_checked(token)): token for token in tokens}
        )
        if not named:
            raise ValueError("give at least one token, or leave auth out to let everybody in")
        for name, token in named.items():
            _checked(token)
            if not 0 < len(name) <= LONGEST_IDENTITY:
                raise ValueError(f"a token's name must have 1 to {LONGEST_IDENTITY} characters")
        self._tokens = {name: token.encode() for name, token in named.items()}

    def identity(self, token: str) -> str | None:
        """Whose token it is; takes as long whichever is right."""
        found, given = None, token.encode("utf-8", "surrogatepass")
        for name, each in self._tokens.items():
            if hmac.compare_digest(_digest(each), _digest(given)):
                found = name
        return found

    def key(self, identity: str, key: bytes) -> bytes | None:
        """What signs the passes of an identity: another as soon as its token is another."""
        token = self._tokens.get(identity)
        return None if token is None else hmac.digest(key, token, hashlib.sha256)


class Access:
    """Lets in whom ``auth`` knows; see ``middleware``.

    ``key`` signs the cookies of who has signed in: with the same, and the same tokens, they are
    good after a restart. ``public`` tells the requests that all may make. Raises ValueError.
    """

    def __init__(
        self,
        auth: Auth,
        *,
        key: str | None = None,
        limits: Limits = DEFAULTS,
        public: Callable[[web.Request], bool] = lambda request: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authorize = auth if callable(auth) else None
        self._tokens = None if callable(auth) else Tokens(auth)
        if key is not None and len(key) < 32:
            raise ValueError("a key that signs cookies must have 32 characters or more")
        self._key = secrets.token_bytes(32) if key is None else key.encode()
        self._wrong = Buckets(limits.sign_ins, limits.sign_in_burst)
        self._public = public
        self._clock = clock
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._page = SignInPage()

    def middleware(self, app: web.Application, server: str = "/") -> Middleware:
        """The middleware that guards ``app`` and all that is mounted in it. ``server`` is where
        that is, for their OpenAPI descriptions.

        A request needs ``Authorization: Bearer TOKEN`` or the cookie that the sign-in page sets, at
        ``sign-in`` below where ``app`` is mounted; it is 401 without, and a person who opens a page
        is sent there. Who it is, is ``identity_of(request)`` to handlers.
        """
        sign_in = app.router.add_resource("/sign-in")  # which knows where `app` gets mounted
        sign_out = app.router.add_resource("/sign-out")
        if self._tokens is not None:
            add_paths(app, access_api.paths(), server)
            app[OPENAPI_SECURITY] = access_api.TOKENS

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                if self._tokens is not None and request.rel_url.raw_path == str(sign_in.url_for()):
                    return await self._on_sign_in(request)
                if self._tokens is not None and request.rel_url.raw_path == str(sign_out.url_for()):
                    return self._on_sign_out(request)
                if self._public(request) or _is_preflight(request):
                    return await handler(request)
                identity = await self.identity(request)
                if identity is None:
                    if self._tokens is not None and wants_page(request):
                        return self._page.send_there(request, str(sign_in.url_for()))
                    raise self._nobody(request)
                request[IDENTITY] = identity
                if self._tokens is not None and "Authorization" not in request.headers:
                    request[SIGN_IN] = str(sign_in.url_for())
            except Problem as problem:
                response = problem.response()
                response.headers.update(origins_of(request).response_headers(request.headers))
                return response
            return await handler(request)

        return guard

    async def identity(self, request: web.Request) -> str | None:
        """Who a request is of, or None. Raises Problem: 429 after too many wrong tokens, 503."""
        if self._tokens is None:
            return await self._ask(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._identity_of_token(request, token.strip())
        granted = self._pass(request)
        return None if granted is None else granted.identity

    async def _ask(self, request: web.Request) -> str | None:
        assert self._authorize is not None
        try:
            async with asyncio.timeout(AUTHORIZE_TIMEOUT):
                identity = await self._authorize(request)
        except (web.HTTPException, Problem):  # its own answer: to a sign-in page of its own, say
            raise
        except Exception:
            logger.exception("authorize() failed: nobody is let in by it")
            raise Problem(
                503,
                "Cannot tell who you are",
                "Try again later; the server's log has the cause.",
                {"Retry-After": "5"},
            ) from None
        if identity is not None and not _is_identity(identity):
            logger.error(
                "authorize() must return an identity of 1 to %d characters, or None; not %.100r",
                LONGEST_IDENTITY,
                identity,
            )
            return None
        return identity

    def _identity_of_token(self, request: web.Request, token: str) -> str | None:
        assert self._tokens is not None
        address = account(request.remote)
        if wait := self._wrong.wait(address):  # before it is looked at: or else guessing goes on
            raise Problem(
                429,
                "Too many wrong tokens",
                f"Too many wrong tokens came from your address: wait {math.ceil(wait)} seconds.",
                {"Retry-After": str(math.ceil(wait))},
            )
        identity = self._tokens.identity(token)
        if identity is None:
            self._wrong.take(address)
        return identity

    def _pass(self, request: web.Request) -> Pass | None:
        """The pass in a request's cookie, if it is one of ours and good."""
        text, tokens = request.cookies.get(COOKIE, ""), self._tokens
        assert tokens is not None
        key = tokens.key(signed.claimed_identity(text), self._key)
        granted = None if key is None else signed.read(text, key, self._clock())
        return granted if granted is not None and granted.serial not in self._revoked else None

    def _nobody(self, request: web.Request) -> Problem:
        hint = (
            "Send `Authorization: Bearer TOKEN`; in a browser, load the page again to sign in."
            if self._tokens is not None
            else "Sign in first."
        )
        wrong = ' error="invalid_token"' if "Authorization" in request.headers else ""
        return Problem(401, "Not signed in", hint, {"WWW-Authenticate": f"Bearer{wrong}"})

    # The sign-in page

    async def _on_sign_in(self, request: web.Request) -> web.StreamResponse:
        if request.method in ("GET", "HEAD"):
            granted = self._pass(request)
            return self._page.response(request, None if granted is None else granted.identity)
        if request.method != "POST":
            raise Problem(
                405, "Method not allowed", "Use GET or POST here.", {"Allow": "GET, POST"}
            )
        origins_of(request).check(request.headers)
        form = await self._page.read(request)
        try:
            identity = self._identity_of_token(request, form.token)
        except Problem as problem:
            return self._page.response(request, None, wrong=problem, to=form.to)
        if identity is None:
            wrong = Problem(401, "Wrong token", "This token is not known here. Is all of it there?")
            return self._page.response(request, None, wrong=wrong, to=form.to)
        assert self._tokens is not None
        granted = Pass.new(identity, self._clock() + LIFETIME)
        key = self._tokens.key(identity, self._key)
        assert key is not None
        response = web.Response(status=303, headers={"Location": form.to})
        _set_cookie(request, response, signed.sign(granted, key), LIFETIME)
        return response

    def _on_sign_out(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            raise Problem(405, "Method not allowed", "Use POST here.", {"Allow": "POST"})
        origins_of(request).check(request.headers)
        if (granted := self._pass(request)) is not None:
            self._revoked[granted.serial] = None
            if len(self._revoked) > REVOKED:
                self._revoked.popitem(last=False)
        response = web.Response(status=303, headers={"Location": "./sign-in"})
        _set_cookie(request, response, "", 0)
        return response


def signed_in(request: web.Request) -> dict[str, str] | None:
    """What the page is told of its visitor: who has signed in, and where that can be ended."""
    page = request.get(SIGN_IN)
    if page is None:
        return None
    stream = request.rel_url.raw_path.removesuffix("stream.json")  # asked for by its page
    return {"identity": request[IDENTITY], "url": way_and_back(stream, page)}


def _set_cookie(request: web.Request, response: web.Response, value: str, seconds: int) -> None:
    # Without a Path it is good below where the browser sees the sign-in page (RFC 6265 section
    # 5.1.4): under whatever prefix of whatever proxy, which nobody needs to tell us.
    secure = "; Secure" if request.scheme == "https" else ""
    response.headers["Set-Cookie"] = (
        f"{COOKIE}={value}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    )
    response.headers["Cache-Control"] = "no-store"


def _is_preflight(request: web.Request) -> bool:
    """Browsers ask without credentials whether a page of another origin may send some."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _is_identity(what: object) -> bool:
    return isinstance(what, str) and 0 < len(what) <= LONGEST_IDENTITY


def _name(token: str) -> str:
    """A name for who has a token, which does not tell it."""
    return f"token-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()  # of one length: how long the token is, stays ours


def _checked(token: str) -> str:
    if not SHORTEST <= len(token) <= LONGEST or not TOKEN_CHARACTERS.issuperset(token):
        raise ValueError(
            f"a token must have {SHORTEST} to {LONGEST} of the characters A-Z a-z 0-9 - . _ ~ + / ="
        )
    return token
