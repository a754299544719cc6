"""A UDP port in front of a server's, whose clients' addresses change as a NAT changes them."""

import asyncio
import contextlib
import socket

from rtcstream.transport.demux import bound

Address = tuple[str, int]


class Nat:
    """Inside ``async with``: what comes to ``outside`` goes on to ``inside`` from a port of its
    own for each client, at the address ``source``; and back."""

    def __init__(self, outside: Address, inside: Address, source: str) -> None:
        self._socket = bound(*outside)
        self._inside = inside
        self._source = source
        self._ways: dict[Address, socket.socket] = {}
        self._former: list[socket.socket] = []
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> "Nat":
        self._loop.add_reader(self._socket, self._there)
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._forget()
        self._loop.remove_reader(self._socket)
        for each in (self._socket, *self._former):
            each.close()

    def rebind(self, source: str) -> None:
        """From now on all clients come from other ports, and from this address; what still goes to
        the former ones is lost, and nobody is told."""
        self._forget()
        self._source = source

    def _there(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            data, client = self._socket.recvfrom(2048)
            way = self._ways.get(client)
            if way is None:
                way = self._ways[client] = bound(self._source, 0)
                way.connect(self._inside)
                self._loop.add_reader(way, self._back, way, client)
            way.send(data)

    def _back(self, way: socket.socket, client: Address) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            self._socket.sendto(way.recv(2048), client)

    def _forget(self) -> None:
        for way in self._ways.values():
            self._loop.remove_reader(way)
        self._former += self._ways.values()
        self._ways.clear()
