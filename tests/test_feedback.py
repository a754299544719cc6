"""Reports of arrivals: what each says, read by a parser of its own, and when one is made."""

import asyncio
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcstream.transport import feedback
from rtcstream.transport.feedback import (
    ANEW,
    INTERVAL,
    LONGEST,
    TransportFeedback,
    pack,
    take_reports,
    unpack,
)
from tests.waiting import until

few = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TICK = 0.00025


def parse(data: bytes) -> tuple[int, list[float | None]]:
    """The first sequence number, and the arrival of each packet from there on; checks the rest
    (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1)."""
    first_byte, kind, words = struct.unpack_from("!BBH", data)
    assert (first_byte & 0xDF, kind) == (0x80 | 15, 205)
    assert len(data) == 4 * (words + 1)
    end = len(data) - (data[-1] if first_byte & 0x20 else 0)
    assert len(data) - end < 4
    base, count = struct.unpack_from("!HH", data, 12)
    clock = int.from_bytes(data[16:19], "big", signed=True) * 64e-3
    at, symbols = 20, list[int]()
    while len(symbols) < count:
        [chunk] = struct.unpack_from("!H", data, at)
        at += 2
        if not chunk >> 15:
            run = chunk & 0x1FFF
            assert run
            symbols += [chunk >> 13] * run
        elif chunk >> 14 & 1:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    assert not any(symbols[count:]), "what fills the last vector says nothing"
    arrivals: list[float | None] = []
    for symbol in symbols[:count]:
        assert symbol in (0, 1, 2)
        if symbol == 0:
            arrivals.append(None)
            continue
        form = "!B" if symbol == 1 else "!h"
        [delta] = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        clock += delta * TICK
        arrivals.append(clock)
    assert at == end
    return base, arrivals


@few
@given(
    st.integers(0, 70_000),
    st.floats(0, 1e6),
    st.lists(st.none() | st.floats(0, 3), min_size=1, max_size=LONGEST).filter(any),
)
def test_what_is_packed_is_read(first: int, start: float, delays: list[float | None]) -> None:
    """Whatever came when, the report says so within a tick, and fits one packet."""
    arrivals = {first + n: start + d for n, d in enumerate(delays) if d is not None}
    data = pack(1, 2, 3, first, first + len(delays) - 1, arrivals)
    assert len(data) <= 1200
    assert data[4:12] == struct.pack("!LL", 1, 2) and data[19] == 3
    base, read = parse(data)
    assert base == first & 0xFFFF
    assert [at is None for at in read] == [delay is None for delay in delays]
    era = 0x1000000 * 64e-3  # the reference time wraps
    for at, delay in zip(read, delays, strict=True):
        if at is not None and delay is not None:
            off = (at - (start + delay) + era / 2) % era - era / 2
            assert abs(off) <= TICK + 1e-6


def test_a_longer_silence_than_a_delta_can_say() -> None:
    """Packets more than eight seconds apart are told as that, and the next ones rightly again."""
    _, read = parse(pack(1, 2, 0, 0, 3, {0: 0.0, 1: 12.0, 2: 12.001, 3: 12.002}))
    assert read[1] == pytest.approx(0x7FFF * TICK)
    assert read[3] == pytest.approx(12.002, abs=TICK)


class Transport:
    """Takes reports."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(data)


class Reporting:
    """A feedback with its transport and a clock of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(feedback, "time", SimpleNamespace(monotonic=lambda: self.now))
        transport: Any = Transport()
        self.transport: Transport = transport
        self.feedback = TransportFeedback(transport)

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.now += 0.001
            self.feedback.add(number & 0xFFFF, 1, 2)

    async def report(self) -> tuple[int, str]:
        """The first number of the next report, and what came from there on."""
        had = len(self.transport.sent)
        await until(lambda: len(self.transport.sent) > had)
        base, read = parse(self.transport.sent[had])
        return base, "".join("." if at is None else "x" for at in read)


@pytest.fixture
def reporting(monkeypatch: pytest.MonkeyPatch) -> Reporting:
    return Reporting(monkeypatch)


@pytest.mark.parametrize("start", [0, 65_530])
async def test_reports_follow_each_other(reporting: Reporting, start: int) -> None:
    """Each report begins where the last ended, so that a gap between them is told of, too."""
    reporting.add(start, start + 1, start + 3)
    assert await reporting.report() == (start, "xx.x")
    reporting.add(start + 6, start + 7)
    assert await reporting.report() == ((start + 4) & 0xFFFF, "..xx")
    assert [data[19] for data in reporting.transport.sent] == [0, 1]


async def test_nothing_comes_nothing_is_told(reporting: Reporting) -> None:
    """Without packets there are no reports."""
    reporting.add(1)
    await reporting.report()
    await asyncio.sleep(3 * INTERVAL)
    assert len(reporting.transport.sent) == 1


async def test_a_late_packet(reporting: Reporting) -> None:
    """A packet that comes after its report is told of, and nothing that came is taken back."""
    reporting.add(1, 2, 4, 5)
    assert await reporting.report() == (1, "xx.xx")
    reporting.add(3, 6)
    assert await reporting.report() == (3, "xxxx")


async def test_a_packet_that_comes_twice(reporting: Reporting) -> None:
    """The first arrival counts."""
    reporting.add(1, 2)
    reporting.now += 0.03
    reporting.add(1)
    await reporting.report()
    _, read = parse(reporting.transport.sent[0])
    assert read[1] is not None and read[0] is not None
    assert read[1] - read[0] == pytest.approx(0.001, abs=TICK)


async def test_a_long_gap(reporting: Reporting) -> None:
    """Of a gap longer than a report only the end is told; what is far behind is left out."""
    reporting.add(1)
    await reporting.report()
    reporting.add(2 * LONGEST)
    assert await reporting.report() == (LONGEST + 1, "." * (LONGEST - 1) + "x")
    reporting.add(LONGEST - 5, 2 * LONGEST + 1)
    assert await reporting.report() == (2 * LONGEST + 1, "x")


async def test_numbers_that_begin_anew(reporting: Reporting) -> None:
    """After a silence in which the numbers went half around, the reports go on."""
    reporting.add(40_000)
    await reporting.report()
    reporting.add(*range(40_000 - ANEW - 1, 40_000 - ANEW + 3))
    assert await reporting.report() == (40_000 - ANEW - 1, "xxxx")


@few
@given(numbers=st.lists(st.integers(0, 65_535), min_size=1, max_size=80))
async def test_any_numbers_can_be_told(numbers: list[int]) -> None:
    """No order of sequence numbers makes a report that cannot be sent or read."""
    transport: Any = Transport()
    each = TransportFeedback(transport)
    for index, number in enumerate(numbers):
        each.add(number, 1, 2)
        due = each._due  # none where the number was too old to be told of
        if due is not None and (index % 7 == 6 or index == len(numbers) - 1):
            due.cancel()
            each._report()
    await asyncio.sleep(0)
    each.close()
    assert transport.sent
    for data in transport.sent:
        _, read = parse(data)
        assert len(data) <= 1200 and read[-1] is not None


async def test_the_end(reporting: Reporting) -> None:
    """Once closed, nothing is reported, and no timer stays."""
    reporting.add(1)
    reporting.feedback.close()
    await asyncio.sleep(2 * INTERVAL)
    assert not reporting.transport.sent


async def test_a_connection_that_is_gone(reporting: Reporting) -> None:
    """A report that cannot be sent any more is no error."""

    async def refuse(data: bytes) -> None:
        reporting.transport.sent.append(data)
        raise ConnectionError

    reporting.transport._send_rtp = refuse  # type: ignore[method-assign]
    reporting.add(1)
    await reporting.report()
    sending = reporting.feedback._sending
    assert sending is not None
    await sending


@few
@given(
    st.integers(0, 70_000),
    st.lists(st.one_of(st.none(), st.floats(0, 3)), min_size=1, max_size=60),
    st.floats(0, 100_000),
)
def test_a_report_is_read(first: int, steps: list[float | None], start: float) -> None:
    """What one end reports the other reads: which packets came, and when, to a quarter of a
    millisecond; whatever is between two of them."""
    arrivals, clock = {}, start
    for number, step in enumerate(steps, first):
        if step is not None:
            clock += step
            arrivals[number] = clock
    if not arrivals:
        return
    report = pack(1, 2, 3, first, first + len(steps) - 1, arrivals)
    [body], rest = take_reports(report)
    assert not rest
    read = unpack(body)
    assert [number for number, _ in read] == [number & 0xFFFF for number in arrivals]
    for (_, told), came in zip(read, arrivals.values(), strict=True):
        assert told == pytest.approx(came, abs=2 * TICK)


@few
@given(st.binary(max_size=300), st.binary(max_size=60))
def test_any_report(body: bytes, before: bytes) -> None:
    """Whatever a peer sends, reports are found or not, read or refused, and the rest stays."""
    found, rest = take_reports(before + body)
    assert len(rest) + sum(4 + len(each) for each in found) == len(before + body)
    for each in [*found, body]:
        try:
            assert len(unpack(each)) <= 0xFFFF
        except ValueError as error:
            assert "report of arrivals" in str(error)


def test_reports_among_others() -> None:
    """Reports are taken from RTCP that came together; the others stay, in their order."""
    report = pack(1, 2, 3, 7, 7, {7: 1.0})
    other = struct.pack("!BBHL", 0x80, 201, 1, 5)
    found, rest = take_reports(other + report + other + report)
    assert (found, rest) == ([report[4:], report[4:]], other + other)
