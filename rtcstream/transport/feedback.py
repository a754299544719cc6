"""Transport-wide congestion control feedback: when each packet came, told to who sent it.

So the browser's own estimator, which knows what it sent when, finds the rate that the network has
(draft-holmer-rmcat-transport-wide-cc-extensions-01).
"""

import asyncio
import logging
import struct
import time

from aiortc.rtcdtlstransport import RTCDtlsTransport

logger = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between two reports while packets come."""
LONGEST = 500
"""Packets that one report tells of, so that it is one datagram; of a longer gap nothing is told."""
ANEW = 3000
"""So far behind, a number is no late packet: the numbers wrapped in a silence, or began anew."""
TICK = 0.00025
"""Seconds, the unit of the times between packets; the reference time counts 256 of them."""
NOT_RECEIVED, SMALL, LARGE = range(3)
MOST_TOLD, MOST_REPORTS = 2048, 4
"""Packets of one report that is read, and reports of one datagram."""
FORMAT, FEEDBACK = 15, 205
"""Of the packet: transport-wide feedback, among RTP's feedback (RFC 4585 section 6.1)."""


class TransportFeedback:
    """Reports the arrivals of one transport's packets, whatever their stream. On the event loop."""

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self._transport = transport
        self._arrivals: dict[int, float] = {}
        self._highest: int | None = None
        self._first = 0
        self._count = 0
        self._ssrc: tuple[int, int] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None

    def add(self, number: int, ours: int, theirs: int) -> None:
        """A packet with the transport-wide sequence ``number`` has come: ``theirs`` is its source,
        ``ours`` that of the reports."""
        highest = number if self._highest is None else self._highest
        step = ((number - highest + 0x8000) & 0xFFFF) - 0x8000
        if self._highest is None or step < -ANEW:
            self._arrivals.clear()
            self._highest = self._first = number
        elif step <= -LONGEST:
            return
        else:
            number = highest + step
            self._highest = max(highest, number)
            self._first = min(self._first, number)
        self._arrivals.setdefault(number, time.monotonic())
        self._ssrc = (ours, theirs)
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(INTERVAL, self._report)

    def close(self) -> None:
        """Report no more."""
        if self._due is not None:
            self._due.cancel()
        if self._sending is not None:
            self._sending.cancel()
        self._arrivals.clear()

    def _report(self) -> None:
        self._due = None
        if self._highest is None or self._ssrc is None:
            return
        last = self._highest
        oldest = last - LONGEST + 1
        # After a late packet, what was told of those behind it is told again.
        if len(self._arrivals) > 2 * LONGEST:
            self._arrivals = {n: at for n, at in self._arrivals.items() if n >= oldest}
        packet = pack(*self._ssrc, self._count, max(self._first, oldest), last, self._arrivals)
        self._first = last + 1
        self._count = (self._count + 1) & 0xFF
        self._sending = asyncio.ensure_future(self._send(packet))

    async def _send(self, packet: bytes) -> None:
        try:
            await self._transport._send_rtp(packet)
        except ConnectionError as error:
            logger.debug("a report of arrivals could not be sent: %s", error)


def pack(
    ours: int, theirs: int, count: int, first: int, last: int, arrivals: dict[int, float]
) -> bytes:
    """A feedback packet about the packets ``first`` to ``last``, of which some arrived."""
    start = min(arrivals[number] for number in range(first, last + 1) if number in arrivals)
    reference = int(start / TICK) // 256
    clock = reference * 256
    statuses, deltas = [], b""
    for number in range(first, last + 1):
        arrival = arrivals.get(number)
        if arrival is None:
            statuses.append(NOT_RECEIVED)
            continue
        ticks = max(min(int(arrival / TICK) - clock, 0x7FFF), -0x8000)
        clock += ticks
        statuses.append(SMALL if 0 <= ticks <= 0xFF else LARGE)
        deltas += ticks.to_bytes(1, "big") if 0 <= ticks <= 0xFF else struct.pack("!h", ticks)
    body = struct.pack("!LLHH", ours, theirs, first & 0xFFFF, len(statuses))
    body += (reference & 0xFFFFFF).to_bytes(3, "big") + bytes((count,))
    body += _chunks(statuses) + deltas
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes((padding,))
    first_byte = 0x80 | (0x20 if padding else 0) | FORMAT
    return struct.pack("!BBH", first_byte, FEEDBACK, len(body) // 4) + body


def _chunks(statuses: list[int]) -> bytes:
    """Runs of one status, and vectors of seven (sections 3.1.3 and 3.1.4)."""
    chunks = b""
    at = 0
    while at < len(statuses):
        status, run = statuses[at], 1
        while run < 0x1FFF and at + run < len(statuses) and statuses[at + run] == status:
            run += 1
        if run >= 7 or at + run == len(statuses):
            chunks += struct.pack("!H", status << 13 | run)
            at += run
        else:
            vector = 3  # a status vector, of two bits each
            for index in range(at, at + 7):
                vector = vector << 2 | (statuses[index] if index < len(statuses) else 0)
            chunks += struct.pack("!H", vector)
            at += 7
    return chunks


def unpack(body: bytes) -> list[tuple[int, float]]:
    """What such a packet says, but for its header: the packets that came, by number, and when, in
    seconds by the reporter's clock. Raises ValueError."""
    if len(body) < 16:
        raise ValueError("a report of arrivals is cut short")
    first, count = struct.unpack_from("!HH", body, 8)
    if count > MOST_TOLD:  # a run of thousands is two bytes long
        raise ValueError(f"a report of arrivals tells of {count} packets, more than {MOST_TOLD}")
    clock = int.from_bytes(body[12:15], "big") * 256
    at, statuses = 16, list[int]()
    while len(statuses) < count:
        if at + 2 > len(body):
            raise ValueError("a report of arrivals is cut short")
        chunk = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if not chunk & 0x8000:
            statuses += [chunk >> 13] * min(chunk & 0x1FFF, count - len(statuses))
            if not chunk & 0x1FFF:
                raise ValueError("a report of arrivals has an empty run")
        elif chunk & 0x4000:
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            statuses += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    arrivals = []
    for index, status in enumerate(statuses[:count]):
        if status not in (SMALL, LARGE):
            continue
        if at + status > len(body):
            raise ValueError("a report of arrivals is cut short")
        clock += int.from_bytes(body[at : at + status], "big", signed=status == LARGE)
        at += status
        arrivals.append(((first + index) & 0xFFFF, clock * TICK))
    return arrivals


def take_reports(compound: bytes) -> tuple[list[bytes], bytes]:
    """The bodies of the reports of arrivals in RTCP that came together, the last of many; and all
    the rest."""
    found: list[bytes] = []
    rest, at = b"", 0
    while at + 4 <= len(compound):
        first, kind, words = struct.unpack_from("!BBH", compound, at)
        end = at + 4 + 4 * words
        if (first & 0x1F, kind) == (FORMAT, FEEDBACK) and end <= len(compound):
            found = [*found, compound[at + 4 : end]][-MOST_REPORTS:]
        else:
            rest += compound[at:end]
        at = end
    return found, rest + compound[at:]
