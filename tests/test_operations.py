"""A server as its operator sees it: how it stops, and what it counts."""

import asyncio
import functools
import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiortc import RTCSessionDescription

from rtcstream import CommandError, Image, Stream, operations, testing
from rtcstream.metrics import Figures, Histogram
from rtcstream.operations import Operations
from rtcstream.overload import Overload
from rtcstream.server import ServerOptions
from rtcstream.signaling import Problem
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.network import network
from rtcstream.transport.peer import PeerConnection
from tests.conftest import Leaks
from tests.pictures import scene
from tests.test_endings import connected
from tests.waiting import until

SDP = {"Content-Type": "application/sdp"}


def negative(image: Image) -> Image:
    return 255 - image


@pytest.fixture
def served() -> Operations:
    """A server with one stream."""
    made = Operations(Overload())
    made.register(Stream(negative).sessions())
    return made


# Stopping


async def test_draining_waits_for_the_sessions(served: Operations) -> None:
    """Pages are told that the server stops, no session is admitted, those there go on, and the
    wait is over when the last has ended."""
    [sessions] = served.streams.values()
    async with testing.connect(sessions) as one, testing.connect(sessions) as two:
        draining = asyncio.create_task(served.drain(30))
        for peer in (one, two):
            told = await peer.message("log", level="warning")
            assert told["message"] == (
                "the server is about to stop: this session ends in 30 seconds at most"
            )
        with pytest.raises(Problem) as refused:
            async with testing.connect(sessions):
                pass
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "5")
        await one.apply(scene(64, 48))
        assert one.session is not None and two.session is not None
        await one.session.end("stopped by the page")
        await two.apply(scene(64, 48))
        assert not draining.done()
        await two.session.end("stopped by the page")
        await asyncio.wait_for(draining, 1)


async def test_draining_has_a_bound(served: Operations, leaks: Leaks) -> None:
    """Sessions that do not end are waited for as long as was said, and left as they are."""
    [sessions] = served.streams.values()
    async with testing.connect(sessions) as peer:
        async with leaks():
            started = time.monotonic()
            await served.drain(0.3)
            assert 0.3 <= time.monotonic() - started < 1
        await peer.apply(scene(64, 48))


@pytest.mark.parametrize("timeout", [0, 30])
async def test_nothing_is_waited_for_in_vain(served: Operations, timeout: float) -> None:
    """Without sessions, or without time for them, draining is over at once."""
    await asyncio.wait_for(served.drain(timeout), 0.5)
    assert served.stopping


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_drain_timeout_is_a_number_of_seconds(timeout: float) -> None:
    """A drain timeout that is no number of seconds is refused."""
    with pytest.raises(CommandError, match="drain timeout"):
        ServerOptions(drain_timeout=timeout).check()


@asynccontextmanager
async def running(
    tmp_path: Path, *options: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The command line, serving a filter in a process of its own, and its address."""
    program = tmp_path / "program.py"
    program.write_text(
        "from rtcstream import Image, Stream\n"
        "def same(image: Image) -> Image:\n    return image\n"
        "stream = Stream(same)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtcstream", str(program), "--port", "0", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        yield process, next(word for word in line.split() if word.startswith("http://"))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def visiting(
    heard: list[dict[str, Any]],
) -> AsyncIterator[tuple[PeerConnection, str]]:
    """A visitor's connection and its offer; ``heard`` is what the page is told."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    connection.addTransceiver("video", "sendrecv")
    channel = connection.createDataChannel("rtcstream")
    channel.on("message", lambda text: heard.append(json.loads(text)))
    try:
        await connection.setLocalDescription(await connection.createOffer())
        yield connection, connection.localDescription.sdp
    finally:
        await connection.close_within(2)


@pytest.mark.parametrize("ends", ["by itself", "by a second signal"])
async def test_a_signal_lets_sessions_end(ends: str, tmp_path: Path) -> None:
    """After SIGTERM a session goes on, new offers get 503 and /readyz too; the process ends as
    soon as the session has, or at once by a second signal."""
    heard: list[dict[str, Any]] = []
    async with (
        running(tmp_path, "--drain-timeout", "30") as (process, url),
        visiting(heard) as (connection, offer),
        aiohttp.ClientSession() as client,
    ):
        async with client.post(url + "session", data=offer, headers=SDP) as response:
            location = response.headers["Location"]
            answer = RTCSessionDescription(sdp=await response.text(), type="answer")
        await connected(connection, answer)
        await until(lambda: heard)
        process.send_signal(signal.SIGTERM)
        await until(lambda: any("about to stop" in str(each.get("message")) for each in heard))
        async with client.get(url + "readyz") as response:
            assert response.status == 503
        async with client.get(url + "healthz") as response:
            assert response.status == 200
        async with client.post(url + "session", data=offer, headers=SDP) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert process.returncode is None
        started = time.monotonic()
        if ends == "by itself":
            async with client.delete(url + location) as response:
                assert response.status == 200
        else:
            process.send_signal(signal.SIGINT)
            end = {"type": "end", "reason": "the server stopped"}
            await until(lambda: end in heard)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert time.monotonic() - started < 3
        assert process.stderr is not None
        told = (await process.stderr.read()).decode()
        assert "1 sessions may go on for 30 s" in told
        assert "Traceback" not in told


# What is counted


async def test_the_same_function_twice(served: Operations) -> None:
    """Two streams of one name are told apart."""
    served.register(Stream(negative).sessions())
    assert [*served.streams] == ["negative", "negative_2"]


async def test_a_shared_run_is_counted_once() -> None:
    """What a shared run does for all is counted once, whatever the number of its viewers; what
    each viewer is sent, for each."""
    failures = 0

    def flaky(image: Image) -> Image:
        nonlocal failures
        failures += 1
        raise ValueError("no")

    sessions = Stream(flaky, shared=True).sessions()
    async with testing.connect(sessions) as source, testing.connect(sessions, watch=True):
        for number in range(1, 4):
            source.send(scene(64, 48))
            await until(functools.partial(lambda count: failures >= count, number))
        await until(lambda: sessions.look().total().errors == failures)
        assert sessions.look().opened == 2
        assert source.session is not None
        await source.session.end("stopped by the page")
    await until(lambda: not len(sessions))
    ledger = sessions.look()
    assert ledger.total().errors == failures
    assert ledger.total().frames_in == failures
    assert sum(ledger.closed.values()) == 2
    assert ledger.closed["shared_run"] == 1


async def test_a_hang_is_counted_when_it_begins() -> None:
    """A call that does not return is one hang, however long it takes, and is over when it does."""
    waits = threading.Event()

    def hang(image: Image) -> Image:
        waits.wait()
        return image

    sessions = Stream(hang, hang_timeout=0.1).sessions()
    async with testing.connect(sessions) as peer:
        peer.send(scene(64, 48))
        await until(lambda: sessions.hanging() == 1)
        await peer.message("stats")
        await peer.message("stats")
        assert sessions.look().total().hangs == 1
        waits.set()
        await until(lambda: sessions.hanging() == 0)
        assert sessions.look().total().hangs == 1


async def test_what_the_packets_met(served: Operations) -> None:
    """Packets are counted both ways, and the round trip is known from the peer's reports."""
    [sessions] = served.streams.values()
    async with testing.connect(sessions) as peer:
        await peer.apply(scene(64, 48))
        assert peer.session is not None
        wiring = peer.session.wiring

        def known() -> bool:
            peer.send(scene(64, 48))
            return network(wiring.senders, wiring.receivers).round_trip is not None

        await until(known)
        met = network(wiring.senders, wiring.receivers)
    assert met.packets_sent >= 1 and met.packets_received >= 1 and met.bytes_received > 0
    assert met.packets_lost == met.packets_missing == 0
    assert met.round_trip is not None and -0.01 < met.round_trip < 1


def test_figures_add_up_and_only_rise() -> None:
    """Figures of several sessions add up; what falls, such as a late packet, is not taken back."""
    total, one = Figures(), Figures(frames_in=3, packets_missing=2)
    total.add(one)
    total.add(one)
    assert (total.frames_in, total.packets_missing, total.errors) == (6, 4, 0)
    one.rise(Figures(frames_in=5, packets_missing=1))
    assert one == Figures(frames_in=5, packets_missing=2)


def test_a_histogram_counts_each_duration_once() -> None:
    """A duration counts in the one bucket that it fits in: at most 1 ms, ..., longer than all."""
    histogram = Histogram()
    for seconds in (0.0005, 0.001, 0.0011, 100.0):
        histogram.observe(seconds)
    assert (histogram.counts[0], histogram.counts[1], histogram.counts[-1]) == (2, 1, 1)
    assert sum(histogram.counts) == 4
    assert histogram.sum == pytest.approx(100.0026)


async def test_who_is_turned_away_is_told(served: Operations) -> None:
    """While there is too much to do the server is not ready, and says why."""
    overload = served.overload
    assert served.obstacle() == ""
    overload.measured(lag=5.0, cpu=0.1, seconds=10)
    assert "its event loop is" in served.obstacle()
    read = {reading.name: reading.read() for reading in served.readings}
    assert (read["ready"], read["overloaded"], read["queue"]) == (0.0, 1.0, 0.0)
    assert read["event_loop_lag_seconds"] > 1 and read["cpu_share"] > 0
    overload.measured(lag=0.0, cpu=0.0, seconds=60)
    assert served.obstacle() == ""


async def test_the_history_is_bounded(
    served: Operations, monkeypatch: pytest.MonkeyPatch, leaks: Leaks
) -> None:
    """Samples are taken while the server runs, the last ten minutes are kept, and the newest can be
    had alone."""
    assert operations.SAMPLES * operations.INTERVAL == 600
    assert served._history.maxlen == operations.SAMPLES
    monkeypatch.setattr(operations, "INTERVAL", 0.01)
    async with leaks():
        running = asyncio.create_task(served.run())
        await until(lambda: len(served.history()) >= 3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    first, *rest = served.history()
    assert served.history(since=first.at) == rest
    assert (first.sessions, first.fps) == (0, 0)
