"""One UDP socket for all peers: whose each packet is that comes in.

A STUN request names its connection by our username fragment (RFC 8445 section 7.2.2), and has to
prove that it knows the password before the address that it came from counts as the peer's. A
response belongs to who made the transaction; all else, DTLS and media (RFC 7983), to the address.
What is nobody's is counted, and not answered: what asks from a forged address must get nothing.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from typing import Any, cast

from aioice import Connection, stun
from aioice.ice import StunProtocol

logger = logging.getLogger(__name__)

Address = tuple[str, int]

COOKIE = bytes.fromhex("2112a442")  # of all STUN (RFC 8489 section 5)
MOST_ADDRESSES = 16
"""Addresses of one peer at a time: it has a few, and another whenever its network changes."""
MOST_AT_ONCE = 32
"""Packets that are read before others get their turn."""
LONGEST = 2048
"""Bytes of a packet: more than any path takes."""
BUFFER = 4 * 1024 * 1024
"""Bytes that may wait in the kernel each way, as far as it allows: all peers share them."""
FORCE = {socket.SO_RCVBUF: 33, socket.SO_SNDBUF: 32}
"""Linux's names for "more than is allowed", which root may ask for (``man 7 socket``)."""


class SharedSocket(asyncio.DatagramProtocol):
    """A UDP socket of one local address, and the connections of all peers that use it.

    ``ignored`` counts packets of strangers, ``unsent`` those that the kernel had no room for.
    """

    def __init__(self, own: socket.socket) -> None:
        self.ignored = 0
        self.unsent = 0
        self._socket = own
        self._transport: asyncio.DatagramTransport | None = None
        self._full = False
        # asyncio reads one packet each time that it looks at all sockets; uvloop reads them all.
        self._drains = isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
        self._peers: dict[str, SharedProtocol] = {}
        self._addresses: dict[Address, SharedProtocol] = {}
        self._transactions: dict[bytes, SharedProtocol] = {}
        self._closed = asyncio.Event()

    @classmethod
    async def bind(cls, address: str, port: int) -> "SharedSocket":
        """Raises OSError, such as when the port is in use."""
        own = bound(address, port)
        _enlarge(own)
        try:
            loop = asyncio.get_running_loop()
            _, shared = await loop.create_datagram_endpoint(lambda: cls(own), sock=own)
        except BaseException:
            own.close()
            raise
        return shared

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def __len__(self) -> int:
        """What the tables hold."""
        return len(self._peers) + len(self._addresses) + len(self._transactions)

    async def close(self) -> None:
        """Close the socket, under whoever still uses it."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    # Who uses it

    def join(self, connection: Connection) -> "SharedProtocol":
        """A connection's own part of the socket, until that is closed."""
        protocol = SharedProtocol(connection, self)
        self._peers[connection.local_username] = protocol
        return protocol

    def leave(self, protocol: "SharedProtocol") -> None:
        self._peers.pop(protocol.receiver.local_username, None)
        for address in protocol.addresses:
            del self._addresses[address]
        protocol.addresses.clear()

    def expect(self, transaction: bytes, protocol: "SharedProtocol") -> None:
        self._transactions[transaction] = protocol

    def expect_no_more(self, transaction: bytes) -> None:
        self._transactions.pop(transaction, None)

    def send(self, data: bytes, address: Any) -> None:
        if self._full or self._transport is None:
            self.unsent += 1
            return
        self._transport.sendto(data, address)

    def info(self, name: str, default: Any = None) -> Any:
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    # What comes in

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._take(data, (addr[0], addr[1]))  # IPv6 has two more fields
        if not self._drains:
            return
        for _ in range(MOST_AT_ONCE - 1):
            try:
                data, addr = self._socket.recvfrom(LONGEST)
            except OSError:  # nothing more, mostly; an error of one peer's path is no other's
                return
            self._take(data, (addr[0], addr[1]))

    def _take(self, data: bytes, address: Address) -> None:
        if len(data) >= stun.HEADER_LENGTH and data[0] < 4 and data[4:8] == COOKIE:
            self._take_stun(data, address)
        elif (protocol := self._addresses.get(address)) is not None:
            protocol.receiver.data_received(data, protocol.local_candidate.component)
        else:
            self.ignored += 1

    def _take_stun(self, data: bytes, address: Address) -> None:
        try:
            message = stun.parse_message(data)
        except Exception:  # the parser meets nonsense with whatever Python raises there
            self.ignored += 1
            return
        if message.message_class == stun.Class.REQUEST:
            self._take_request(message, address)
        elif message.message_class == stun.Class.INDICATION:
            self.ignored += 1  # a keepalive (RFC 8445 section 11)
        else:
            self._take_response(message, address)

    def _take_request(self, message: stun.Message, address: Address) -> None:
        ours = str(message.attributes.get("USERNAME", "")).partition(":")[0]
        protocol = self._peers.get(ours)
        if protocol is None or not message.check_message_integrity(
            protocol.receiver.local_password.encode()
        ):
            self.ignored += 1
            return
        self._learn(address, protocol, reached=False)
        protocol.receiver.request_received(message, address, protocol)

    def _take_response(self, message: stun.Message, address: Address) -> None:
        protocol = self._transactions.get(message.transaction_id)
        if protocol is None:
            self.ignored += 1
            return
        password = protocol.receiver.remote_password
        if password is not None and message.check_message_integrity(password.encode()):
            self._learn(address, protocol, reached=True)
        # Others are for the transaction to judge: a STUN server signs nothing.
        protocol.transactions[message.transaction_id].response_received(message, address)

    def _learn(self, address: Address, protocol: "SharedProtocol", reached: bool) -> None:
        """An address is a peer's. One that is another's already changes hands only when the peer
        has answered from there (``reached``): the sender of a request may be forged."""
        holder = self._addresses.get(address)
        if holder is protocol:
            del protocol.addresses[address]  # to put it behind those not heard from
        elif holder is not None and not reached:
            return
        elif holder is not None:
            del holder.addresses[address]
        self._addresses[address] = protocol
        protocol.addresses[address] = None
        if len(protocol.addresses) > MOST_ADDRESSES:
            oldest = next(iter(protocol.addresses))
            del protocol.addresses[oldest], self._addresses[oldest]

    # The transport's word

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for protocol in list(self._peers.values()):
            protocol.transport.close()
        self._closed.set()

    def error_received(self, exc: Exception) -> None:
        logger.debug("the UDP port of all peers: %r", exc)

    def pause_writing(self) -> None:
        """asyncio would keep all that the kernel has no room for; a socket drops it."""
        if not self.unsent:
            logger.warning("more is sent than the network takes: packets are dropped")
        self._full = True

    def resume_writing(self) -> None:
        self._full = False


class SharedProtocol(StunProtocol):
    """What a connection takes for its own socket."""

    def __init__(self, connection: Connection, shared: SharedSocket) -> None:
        super().__init__(connection)
        self.addresses: dict[Address, None] = {}
        """The peer's, least recently heard from first."""
        self._shared = shared
        self.connection_made(_Share(self, shared))

    async def request(
        self,
        request: stun.Message,
        addr: Address,
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, Address]:
        self._shared.expect(request.transaction_id, self)
        try:
            return await super().request(request, addr, integrity_key, retransmissions)
        finally:
            self._shared.expect_no_more(request.transaction_id)


class _Share(asyncio.DatagramTransport):
    """The transport of a ``SharedProtocol``: to close it takes nothing from the others."""

    def __init__(self, protocol: SharedProtocol, shared: SharedSocket) -> None:
        super().__init__()
        self._protocol = protocol
        self._shared = shared
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        self._shared.send(data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._shared.info(name, default)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._shared.leave(self._protocol)
            self._protocol.connection_lost(None)

    abort = close


def bound(address: str, port: int) -> socket.socket:
    """A UDP socket that does not block. Raises OSError."""
    own = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        own.setblocking(False)
        own.bind((address, port))
    except BaseException:
        own.close()
        raise
    return own


def _enlarge(own: socket.socket) -> None:
    """Give a socket that many share room for many, or say what is in the way."""
    for option, forced in FORCE.items():
        own.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        if sys.platform == "linux":
            with contextlib.suppress(PermissionError):
                own.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
        if (given := own.getsockopt(socket.SOL_SOCKET, option)) < BUFFER:
            logger.info(
                "the system gives a UDP port %d KiB; many sessions need more: on Linux, set "
                "net.core.rmem_max and net.core.wmem_max to %d",
                given // 1024,
                BUFFER,
            )
