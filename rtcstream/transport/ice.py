"""What ICE is told: servers, addresses, and an offer's candidates."""

import asyncio
import copy
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote

from aioice import Candidate
from aioice.candidate import candidate_foundation
from aioice.ice import get_host_addresses
from aioice.utils import random_string
from aiortc import RTCIceServer
from aiortc.rtcicetransport import RTCIceGatherer, parse_stun_turn_uri

from ..errors import NegotiationError
from ..limits import DEFAULTS, Limits
from .ports import Ports, ask_reflexive, bind_all

LOOPBACK = ("127.0.0.1",)

Server: TypeAlias = Mapping[str, Any]
"""A browser's RTCIceServer dictionary."""


class ServerSource(Protocol):
    """Where servers come from that are not the same for all, and not for ever."""

    async def servers(self, identity: str | None) -> tuple[Server, ...] | None:
        """The servers of a visitor; None when they cannot be had."""


SERVER_SECONDS = 3
"""How long a STUN or TURN server may take; an offer's answer waits for it. That is time enough to
ask again, and for a connection over TCP; aioice's own is 5 s."""
UFRAG_LENGTH = 16
"""Characters by which connections on one port are told apart; aioice's own have four."""


@dataclass(frozen=True)
class IceOptions:
    """STUN and TURN servers (none unless named), and the local addresses to gather on.

    ``addresses`` None means all of this host's; loopback only when there is no other (RFC 8445
    section 5.1.1.1 leaves it out, but a machine off the network still has itself to talk to).
    ``source`` gives the servers of each visitor anew. ``limits`` bound what an offer may hold.
    ``ports`` None means any free ones. ``public_addresses`` are announced in the place of local
    ones of the same family, for those who reach this host through a translation of addresses
    that keeps ports.
    """

    servers: tuple[Server, ...] = ()
    addresses: tuple[str, ...] | None = None
    source: ServerSource | None = None
    limits: Limits = DEFAULTS
    ports: Ports | None = None
    public_addresses: tuple[str, ...] = ()

    @classmethod
    def of(cls, servers: Iterable[str | Mapping[str, Any]]) -> "IceOptions":
        """Servers as ``parse_server`` reads them, or already a browser's RTCIceServer dictionaries.

        Raises ValueError.
        """
        return cls(tuple(parse_server(s) if isinstance(s, str) else s for s in servers))

    def to_aiortc(self) -> list[RTCIceServer]:
        return [
            RTCIceServer(
                urls=server["urls"],
                username=server.get("username"),
                credential=server.get("credential"),
            )
            for server in self.servers
        ]


def parse_server(text: str, *, credentials: bool = True) -> dict[str, Any]:
    """``stun:host[:port]`` or ``turn:user:password@host[:port][?transport=tcp]`` as a browser's
    RTCIceServer dictionary; ``credentials`` says whether TURN has a user and password.

    Raises ValueError with the accepted forms.
    """
    scheme, _, rest = text.partition(":")
    login, at, place = rest.rpartition("@")
    server: dict[str, Any] = {"urls": f"{scheme}:{place}"}
    if at:
        username, _, credential = login.partition(":")
        server |= {"username": unquote(username), "credential": unquote(credential)}
    with suppress(ValueError):
        parse_stun_turn_uri(server["urls"])
        turn = scheme not in ("stun", "stuns")  # which alone has credentials
        if place and bool(at) == (turn and credentials):
            return server
    form = "turn:USER:PASSWORD@HOST:PORT" if credentials else "turn:HOST:PORT"
    shown = text if "@" not in text else f"{text.partition(':')[0]}:...@{text.rpartition('@')[2]}"
    raise ValueError(
        f"{shown!r} is not an ICE server; write stun:HOST:PORT or {form} "
        "(?transport=tcp after it for TCP)"
    )


def gather_on(gatherer: RTCIceGatherer, options: IceOptions) -> None:
    """Choose the local addresses and ports that a gatherer binds, and what it announces."""
    connection, ports = gatherer._connection, options.ports
    gather = connection.get_component_candidates
    if ports is not None:
        connection._local_username = random_string(UFRAG_LENGTH)

    async def chosen(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        timeout = min(timeout, SERVER_SECONDS)
        local = local_addresses(options.addresses, addresses)
        if ports is None:
            candidates = await gather(component, local, timeout)
        else:
            bound = await bind_all(connection, component, local, ports)
            reflexive, relayed = await asyncio.gather(
                ask_reflexive(connection, bound, timeout), gather(component, [], timeout)
            )
            candidates = [each.local_candidate for each in bound] + reflexive + relayed
        return announced(candidates, options.public_addresses)

    connection.get_component_candidates = chosen  # type: ignore[method-assign]


def local_addresses(
    wanted: Sequence[str] | None = None, found: Sequence[str] | None = None
) -> list[str]:
    """The addresses to bind: those ``wanted``, or of those ``found`` on this host all that others
    can reach; loopback's where there is none."""
    if wanted is not None:
        return list(wanted)
    if found is None:
        found = get_host_addresses(use_ipv4=True, use_ipv6=True)
    return [each for each in found if not _is_loopback(each)] or list(LOOPBACK)


def announced(candidates: Iterable[Candidate], public: Sequence[str]) -> list[Candidate]:
    """Candidates as peers are told them: public addresses in the place of the host's own, where
    there are any of the same family."""
    told: dict[tuple[str, str, int], Candidate] = {}
    for candidate in candidates:
        hosts = [candidate.host]
        if candidate.type == "host":
            version = ipaddress.ip_address(candidate.host.partition("%")[0]).version
            hosts = [each for each in public if ipaddress.ip_address(each).version == version]
        for host in hosts or [candidate.host]:
            each = copy.copy(candidate)
            each.host = host
            if host != candidate.host:
                each.foundation = candidate_foundation("host", "udp", host)
            told.setdefault((each.type, host, each.port), each)
    return list(told.values())


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def usable_offer(sdp: str, limits: Limits = DEFAULTS) -> str:
    """An offer without the candidates that would only cost.

    Names of mDNS (``.local``) are left out: the peer's own checks reveal its address (RFC 8445
    section 7.3.1.3), while resolving one is multicast traffic and a socket. So are TCP ones, which
    aioice cannot use, and the end-of-candidates mark, which would let ICE fail before the peer's
    first check has come. Raises NegotiationError for an offer with too much in it.
    """
    lines = sdp.splitlines()
    if len(lines) > limits.lines:
        raise NegotiationError(f"the offer has more than {limits.lines} lines")
    if sum(line.startswith("m=") for line in lines) > limits.sections:
        raise NegotiationError(f"the offer has more than {limits.sections} media sections")
    kept = [
        line
        for line in lines
        if line.strip() != "a=end-of-candidates"
        and not (line.startswith("a=candidate:") and not is_usable_candidate(line.split()))
    ]
    if sum(line.startswith("a=candidate:") for line in kept) > limits.candidates:
        raise NegotiationError(f"the offer has more than {limits.candidates} candidates")
    return "\r\n".join(kept) + "\r\n"


def is_usable_candidate(fields: Sequence[str]) -> bool:
    """Whether a candidate's words (RFC 8839 section 5.1) name a UDP address that can be tried."""
    if len(fields) < 8 or fields[2].lower() != "udp":
        return False
    # A port that is none ends the socket that something is sent to it from: everybody's, perhaps.
    port = fields[5]
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        return False
    try:
        ipaddress.ip_address(fields[4])
    except ValueError:
        return False
    return fields[7] in ("host", "srflx", "relay")
