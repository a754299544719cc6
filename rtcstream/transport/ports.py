"""On which UDP ports peers are met: one for all, or each its own within a range."""

import asyncio
import errno
import logging
import random
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate

from ..errors import NegotiationError
from .demux import SharedSocket, bound

logger = logging.getLogger(__name__)

MOST_TRIES = 256
"""Ports of a range that are tried for one socket: others may use them too."""


class NoPortFree(NegotiationError):
    """All ports that may be used are; when a session ends, there will be one again."""


class Ports(Protocol):
    """Where the sockets of connections come from."""

    async def bind(self, connection: Connection, address: str) -> StunProtocol:
        """A socket on a local address. Raises OSError, or NoPortFree."""
        ...

    async def close(self) -> None:
        """Close what is shared by connections; theirs end with them."""
        ...


class SharedPort:
    """One port, of every local address that is used, for all peers; 0 takes a free one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sockets: dict[str, SharedSocket] = {}
        self._binding = asyncio.Lock()

    async def open(self, address: str) -> SharedSocket:
        """The socket of a local address. Raises OSError."""
        async with self._binding:
            if address not in self.sockets:
                self.sockets[address] = shared = await SharedSocket.bind(address, self.port)
                self.port = shared.port
        return self.sockets[address]

    async def bind(self, connection: Connection, address: str) -> StunProtocol:
        return (await self.open(address)).join(connection)

    async def close(self) -> None:
        for shared in self.sockets.values():
            await shared.close()
        self.sockets.clear()


class PortRange:
    """A socket of its own for each connection and local address, on a port of the range.

    Ports are taken in random order, and the one that was given back last is taken last: packets
    that are late for one session should not come to the next.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self._free: dict[str, deque[int]] = {}

    async def bind(self, connection: Connection, address: str) -> StunProtocol:
        if address not in self._free:
            ports = range(self.first, self.last + 1)
            self._free[address] = deque(random.sample(ports, len(ports)))
        free = self._free[address]
        for _ in range(min(len(free), MOST_TRIES)):
            port = free.popleft()
            try:
                own = bound(address, port)
            except OSError as error:
                free.append(port)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                continue
            return await _endpoint(connection, own, port, free)
        raise NoPortFree(f"all UDP ports from {self.first} to {self.last} are in use on {address}")

    async def close(self) -> None:
        pass


class _RangedProtocol(StunProtocol):
    """A socket whose port goes back to the free ones when it has been closed."""

    def __init__(self, connection: Connection, port: int, free: deque[int]) -> None:
        super().__init__(connection)
        self._port, self._free = port, free
        self._released = False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.release()

    def release(self) -> None:
        """Give the port back, once however often called."""
        if not self._released:
            self._released = True
            self._free.append(self._port)


async def _endpoint(
    connection: Connection, own: socket.socket, port: int, free: deque[int]
) -> StunProtocol:
    protocol = _RangedProtocol(connection, port, free)
    try:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, sock=own)
    except BaseException:  # a transport that was made already is closed, and releases it, too
        own.close()
        protocol.release()
        raise
    return protocol


async def bind_all(
    connection: Connection, component: int, addresses: Sequence[str], ports: Ports
) -> list[StunProtocol]:
    """Sockets on ports of ours with their candidates, as aioice's ``get_component_candidates``
    makes them on any port. Raises NoPortFree if that is why there is none."""
    protocols: list[StunProtocol] = []
    full: NoPortFree | None = None
    for address in addresses:
        try:
            protocol = await ports.bind(connection, address)
        except NoPortFree as error:
            full = error
            continue
        except OSError as error:
            logger.info("could not bind to %s: %s", address, error)
            continue
        host, port = protocol.transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        protocols.append(protocol)
        connection._protocols.append(protocol)
    if full is not None and not protocols:
        raise full
    return protocols


async def ask_reflexive(
    connection: Connection, protocols: Sequence[StunProtocol], timeout: float
) -> list[Candidate]:
    """What the connection's STUN server, if it has one, says how these sockets are seen."""
    if connection.stun_server is None:
        return []
    asking: list[asyncio.Task[Any]] = [
        asyncio.create_task(server_reflexive_candidate(each, connection.stun_server))
        for each in protocols
        if ":" not in each.local_candidate.host  # aioice asks IPv4 only
    ]
    if not asking:
        return []
    done, pending = await asyncio.wait(asking, timeout=timeout)
    for task in pending:
        task.cancel()
    return [task.result()[0] for task in done if task.exception() is None]
