"""What serves streams: address, TLS, who may, and an end."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import math
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

from aiohttp import web
from aiohttp.typedefs import Middleware

from . import admin
from .access import Access, Auth
from .certificate import lan_addresses, self_signed
from .door import OVERLOAD
from .errors import CommandError
from .gate import GATE, Gate
from .http_log import http_log
from .limits import DEFAULTS, Limits
from .negotiator import ICE, NETWORK
from .network import UdpOptions, opened
from .not_found import not_found
from .operations import Operations, serving
from .overload import MAX_CPU, MAX_LAG, Overload
from .signaling import CORS_ORIGINS, MAX_BODY, Origins, Proxies, trusted_hosts
from .transport.ice import IceOptions
from .turn import Call, IceServers, ice_options

logger = logging.getLogger("rtcstream")

loading: ContextVar[bool] = ContextVar("loading", default=False)
"""Whether the command line is loading a program, which it will serve itself."""

EVERYWHERE = ("0.0.0.0", "::", "")
"""Hosts that stand for all addresses of this machine."""

ADMIN_TOKEN = "RTCSTREAM_ADMIN_TOKEN"

SHUTDOWN_TIMEOUT = 1.0
"""Seconds that requests in progress get when the server ends."""

LINGERING = 2.0
"""Seconds for which the rest of a body that was refused is still read, or else who sends it would
miss the answer."""


class Servable(Protocol):
    """A ``Stream``, or anything else that makes an application."""

    @property
    def name(self) -> str: ...

    def app(self) -> web.Application: ...


class ServeOptions(TypedDict, total=False):
    """The options of ``serve`` and ``Stream.run``."""

    host: str
    port: int
    https: bool
    ssl_cert: str | Path | None
    ssl_key: str | Path | None
    ice_servers: Iterable[str | Mapping[str, Any]] | Call | IceServers
    turn_secret: str | None
    cors_origins: Sequence[str]
    max_lag: float | None
    max_cpu: float | None
    auth: Auth | None
    auth_key: str | None
    trusted_proxies: Sequence[str]
    limits: Limits
    drain_timeout: float
    admin_token: str | None
    udp_port: int | None
    udp_ports: tuple[int, int] | None
    public_ips: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What belongs to a server rather than to a stream."""

    host: str = "127.0.0.1"
    port: int = 8080
    https: bool = False
    ssl_cert: str | Path | None = None
    ssl_key: str | Path | None = None
    ice_servers: Iterable[str | Mapping[str, Any]] | Call | IceServers = ()
    turn_secret: str | None = field(default=None, repr=False)
    cors_origins: Sequence[str] = ()
    max_lag: float | None = MAX_LAG
    max_cpu: float | None = MAX_CPU
    auth: Auth | None = field(default=None, repr=False)
    auth_key: str | None = field(default=None, repr=False)
    trusted_proxies: Sequence[str] = ()
    limits: Limits = DEFAULTS
    drain_timeout: float = 0.0
    admin_token: str | None = None
    udp_port: int | None = None
    udp_ports: tuple[int, int] | None = None
    public_ips: Sequence[str] = ()

    @property
    def operator_token(self) -> str | None:
        """The admin token: given, or in the environment, where other users do not see it."""
        return os.environ.get(ADMIN_TOKEN) if self.admin_token is None else self.admin_token

    def check(self) -> None:
        """Raise CommandError for options that do not go together, or files that are not there."""
        if not 0 <= self.port <= 65535:
            raise CommandError(f"the port must be from 0 to 65535, not {self.port}")
        if (self.ssl_cert is None) != (self.ssl_key is None):
            raise CommandError("a certificate needs its key: give --ssl-cert and --ssl-key both")
        for path in (self.ssl_cert, self.ssl_key):
            if path is not None and not Path(path).is_file():
                raise CommandError(f"there is no file {str(path)!r}")
        if self.max_lag is not None and not self.max_lag > 0:
            raise CommandError(f"max_lag must be seconds above zero, not {self.max_lag}")
        if self.max_cpu is not None and not 0 < self.max_cpu <= 1:
            raise CommandError(f"max_cpu must be above 0 and at most 1, not {self.max_cpu}")
        if not 0 <= self.drain_timeout < math.inf:
            raise CommandError(
                f"the drain timeout must be a number of seconds from 0, not {self.drain_timeout:g}"
            )
        if self.operator_token is not None:
            try:
                admin.check_token(self.operator_token)
            except ValueError as error:
                raise CommandError(str(error)) from None
        _ = self.udp

    @property
    def udp(self) -> UdpOptions:
        """Raises CommandError."""
        return UdpOptions(self.udp_port, self.udp_ports, tuple(self.public_ips))

    @property
    def secure(self) -> bool:
        return self.https or self.ssl_cert is not None


def serve(
    what: Servable | web.Application,
    **options: Unpack[ServeOptions],
) -> None:
    """Serve a stream, or an application with streams mounted in it, until Ctrl-C or SIGTERM.

    ``host`` is the address to listen on (``"0.0.0.0"``: all), ``port`` 0 takes a free one.
    ``https`` serves with a self-signed certificate made on the spot, for phones on the same
    network; ``ssl_cert`` and ``ssl_key`` are files of a real one. ``ice_servers`` and
    ``cors_origins`` are as in ``Stream.app``, for all that is served here, and so are ``auth`` and
    ``limits``; ``auth_key``, 32 characters or more, makes sign-ins outlast a restart.
    ``turn_secret`` is what the TURN servers named without user and password share with us
    (coturn's ``use-auth-secret``). ``trusted_proxies`` are addresses or networks of proxies, which
    are believed what they say of a client's address, scheme and host. New sessions are turned
    away, or wait, from when the event loop is more than ``max_lag`` seconds late, or the process
    uses more than ``max_cpu`` of the machine's cores (0..1), until there is room again; None is no
    such bound. When it is to stop, sessions may go on for ``drain_timeout`` seconds; a second
    signal ends them at once.
    ``admin_token`` (or the environment's ``RTCSTREAM_ADMIN_TOKEN``) opens the page at ``/admin``.
    Media take ``udp_port`` for all peers together, or ports from the first to the last of
    ``udp_ports``; any free ones by default. ``public_ips`` are announced in place of this machine's
    own addresses, where others reach it through NAT or from outside its container.

    Raises CommandError when it cannot: the port is in use, a file is missing.
    """
    if loading.get():
        raise CommandError(
            "the program serves already while it is loaded: put its last line, such as "
            '`stream.run()`, under `if __name__ == "__main__":`, or start it with plain python'
        )
    checked = ServerOptions(**options)
    checked.check()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(what, checked))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: each packet costs less. None is asyncio's own."""
    try:
        import uvloop
    except ImportError:  # an extra, which Windows has not
        return None
    logger.info("the event loop is uvloop's")
    return uvloop.new_event_loop


async def _run(what: Servable | web.Application, options: ServerOptions) -> None:
    loop = asyncio.get_running_loop()
    operations = Operations(Overload(options.max_lag, options.max_cpu))
    ending, at_once = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (at_once if ending.is_set() else ending).set()

    with _on_signals(loop, end):
        async with listening(what, options, operations) as url:
            name = "rtcstream" if isinstance(what, web.Application) else what.name
            print(f"{name} on {url}  (Ctrl-C ends it)")
            _explain(options, url)
            await ending.wait()
            await _drain(operations, options.drain_timeout, at_once)


async def _drain(operations: Operations, timeout: float, at_once: asyncio.Event) -> None:
    """Let sessions come to their end for so long, or until there is no more time for it."""
    draining = asyncio.ensure_future(operations.drain(timeout))
    hurrying = asyncio.ensure_future(at_once.wait())
    await asyncio.wait([draining, hurrying], return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, hurrying):
        task.cancel()
    await asyncio.gather(draining, hurrying, return_exceptions=True)


@contextlib.contextmanager
def _on_signals(loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> Iterator[None]:
    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in signals:
            loop.add_signal_handler(number, end)
    except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt, which ends the run
        yield
        return
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _explain(options: ServerOptions, url: str) -> None:
    if options.host in EVERYWHERE and (addresses := lan_addresses()):
        others = " or ".join(url.replace("localhost", address) for address in addresses)
        print(f"On other machines of the same network: {others}")
    if options.auth is not None and not (
        options.secure or options.trusted_proxies or is_loopback(options.host)
    ):
        print("Without https, tokens and cookies can be read on the way here: use --https.")
    if options.https and options.ssl_cert is None:
        print("The certificate is self-signed: a browser asks once whether to trust it.")
    elif not options.secure and not is_loopback(options.host):
        print(
            "Browsers give the camera to https and localhost only: "
            "use --https for other machines and phones."
        )
    sys.stdout.flush()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.asynccontextmanager
async def listening(
    what: Servable | web.Application,
    options: ServerOptions,
    operations: Operations | None = None,
) -> AsyncIterator[str]:
    """Serve inside the ``async with``; yields the URL. Raises CommandError."""
    operations = operations or Operations(Overload(options.max_lag, options.max_cpu))
    async with opened(options.udp) as network:
        application = _rooted(what, options, network)
        application[OVERLOAD] = operations.overload
        admin.setup(application, operations, options.operator_token)
        async with _site(application, options, operations) as url:
            yield url


@contextlib.asynccontextmanager
async def _site(
    application: web.Application, options: ServerOptions, operations: Operations
) -> AsyncIterator[str]:
    runner = web.AppRunner(
        application,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        lingering_time=LINGERING,
        auto_decompress=False,  # nobody has reason to compress an offer, and a bomb is small
        logger=http_log(),
        max_line_size=options.limits.header,
        max_field_size=options.limits.header,
        max_headers=options.limits.headers,
    )
    with _serving(operations):
        await runner.setup()
    watching = asyncio.create_task(operations.run())
    try:
        site = web.TCPSite(runner, options.host, options.port, ssl_context=_tls(options))
        try:
            await site.start()
        except OSError as error:
            raise CommandError(_cannot_listen(error, options)) from None
        port = runner.addresses[0][1]
        async with operations.overload:
            yield f"{'https' if options.secure else 'http'}://{_shown(options.host)}:{port}/"
    finally:
        watching.cancel()
        await runner.cleanup()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


@contextlib.contextmanager
def _serving(operations: Operations) -> Iterator[None]:
    token = serving.set(operations)
    try:
        yield
    finally:
        serving.reset(token)


def _rooted(
    what: Servable | web.Application, options: ServerOptions, network: IceOptions
) -> web.Application:
    application = what if isinstance(what, web.Application) else what.app()
    try:
        ice = ice_options(options.ice_servers, options.turn_secret)
        origins = Origins(options.cors_origins)
        guards = [*_guards(application, options)]
    except ValueError as error:
        raise CommandError(str(error)) from None
    application[NETWORK] = network
    if ice.servers or ice.source:
        application[ICE] = ice
    if options.cors_origins:
        application[CORS_ORIGINS] = origins
    names = [*options.cors_origins, options.host, socket.gethostname()]
    hosts = trusted_hosts([*names, f"{socket.gethostname()}.local"])
    # Both the Host that came and the one that a proxy tells of: many pass on what clients tell.
    application.middlewares[0:0] = [hosts, guards[0], hosts, *guards[1:], not_found(application)]
    return application


def _guards(application: web.Application, options: ServerOptions) -> Iterator[Middleware]:
    """Who a request is of, how many there may be, and whether it is let in; from outside in."""
    yield Proxies(options.trusted_proxies).middleware()
    application[MAX_BODY] = options.limits.body
    application[GATE] = Gate(options.limits)
    yield application[GATE].middleware()
    if options.auth is not None:
        access = Access(
            options.auth, key=options.auth_key, limits=options.limits, public=admin.is_own
        )
        yield access.middleware(application)


def _tls(options: ServerOptions) -> ssl.SSLContext | None:
    if not options.secure:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if options.ssl_cert is not None and options.ssl_key is not None:
        try:
            context.load_cert_chain(options.ssl_cert, options.ssl_key)
        except (ssl.SSLError, OSError) as error:
            raise CommandError(f"the certificate or its key cannot be used: {error}") from None
    else:
        self_signed(context)
    return context


def _cannot_listen(error: OSError, options: ServerOptions) -> str:
    place = f"{options.host}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        place = f"port {options.port} is in use on {options.host}"
        return f"{place}; choose another: --port, or run(port=...)"
    if error.errno == errno.EACCES:
        return f"no permission to listen on {place}; ports below 1024 need it, so try --port 8080"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {options.host}; --host 0.0.0.0 listens on all it has"
    return f"cannot listen on {place}: {error.strerror or error}"


def _shown(host: str) -> str:
    if host in EVERYWHERE:
        return "localhost"
    return f"[{host}]" if ":" in host else host
