"""A server's UDP: its port or range of ports, and the addresses that it is known by."""

import contextlib
import errno
import ipaddress
import logging
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from .errors import CommandError
from .transport.ice import IceOptions, local_addresses
from .transport.ports import PortRange, Ports, SharedPort

logger = logging.getLogger("rtcstream")

RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")


@dataclass(frozen=True)
class UdpOptions:
    """``port`` for all peers, or each session's within ``ports``; any free ones without both.

    ``public`` are this server's addresses as others see them. Raises CommandError.
    """

    port: int | None = None
    ports: tuple[int, int] | None = None
    public: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.port is not None and self.ports is not None:
            raise CommandError("give --udp-port or --udp-ports: one port, or a range of them")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise CommandError(f"the UDP port must be from 1 to 65535, not {self.port}")
        if self.ports is not None and not 1 <= self.ports[0] <= self.ports[1] <= 65535:
            first, last = self.ports
            raise CommandError(f"UDP ports go from 1 to 65535, the lower one first: {first}-{last}")
        for address in self.public:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise CommandError(
                    f"a public address is one of IPv4 or IPv6, such as 203.0.113.7; {address!r} "
                    "is not"
                ) from None


def parse_range(text: str) -> tuple[int, int]:
    """``50000-50100`` as its two ends. Raises CommandError."""
    match = RANGE.fullmatch(text)
    if match is None:
        raise CommandError(f"UDP ports are written as 50000-50100, not {text!r}")
    return int(match[1]), int(match[2])


@contextlib.asynccontextmanager
async def opened(options: UdpOptions) -> AsyncIterator[IceOptions]:
    """Ports as sessions are to use them, inside the ``async with``. Raises CommandError."""
    local = local_addresses()
    for address in options.public:
        if not any((":" in each) == (":" in address) for each in local):
            logger.warning("%s is not announced: this machine has no address of its kind", address)
    ports: Ports | None = None
    if options.port is not None:
        ports = await _shared(options.port, local)
    elif options.ports is not None:
        ports = PortRange(*options.ports)
    try:
        yield IceOptions(ports=ports, public_addresses=options.public)
    finally:
        if ports is not None:
            await ports.close()


async def _shared(port: int, local: Sequence[str]) -> SharedPort:
    shared = SharedPort(port)
    try:
        for address in local:
            try:
                await shared.open(address)
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    raise CommandError(_cannot_bind(error, address, port)) from None
                logger.info("no UDP on %s: %s", address, error)
        if not shared.sockets:
            raise CommandError(f"UDP port {port} cannot be used on any address of this machine")
    except BaseException:
        await shared.close()
        raise
    return shared


def _cannot_bind(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"UDP port {port} is in use on {address}; choose another: --udp-port"
    return f"no permission for UDP port {port}; those below 1024 need it, so try --udp-port 8443"
