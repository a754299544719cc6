"""Whether there is too much to do: measured, with hysteresis."""

import asyncio
import os
import time
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from rtcstream import CommandError, Image, Stream, testing
from rtcstream.door import OVERLOAD
from rtcstream.overload import INTERVAL, Overload, available_cores, processor_times
from rtcstream.server import ServerOptions, listening
from rtcstream.signaling import Problem
from rtcstream.transport.ice import IceOptions
from rtcstream.types import Peer
from tests import isolated
from tests.pictures import scene
from tests.waiting import until


def same(image: Image) -> Image:
    return image


def test_hysteresis() -> None:
    """It is overloaded from one threshold until it is well below it, by lag as by processor."""
    load = Overload(max_lag=0.2, max_cpu=0.8)
    for lag, cpu, overloaded in [
        (0.19, 0.79, False),
        (0.21, 0.0, True),
        (0.15, 0.0, True),
        (0.09, 0.0, False),
        (0.0, 0.81, True),
        (0.0, 0.75, True),
        (0.0, 0.71, False),
    ]:
        load.measured(lag, cpu, 1000)
        assert load.overloaded == overloaded, (lag, cpu)
        assert load.state.lag == pytest.approx(lag)


def test_smoothing() -> None:
    """One late call is no overload, many are; a long block is one at once."""
    load = Overload(max_lag=0.2)
    load.measured(0.4, 0, INTERVAL)
    assert not load.overloaded
    for _ in range(20):
        load.measured(0.4, 0, INTERVAL)
    assert load.overloaded
    load = Overload(max_lag=0.2)
    load.measured(2.0, 0, 2.1)
    assert load.overloaded


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", None), ("50000 100000", 0.5), ("nonsense", None), ("99900000 100000", None)],
)
def test_cores_of_a_container(tmp_path: Path, quota: str, cores: float | None) -> None:
    """A container's share is of what it may use, not of what it sees."""
    (tmp_path / "cpu.max").write_text(quota)
    unbounded = available_cores(tmp_path / "missing")
    assert available_cores(tmp_path / "cpu.max") == (unbounded if cores is None else cores)


def test_no_bounds() -> None:
    """None is no bound."""
    load = Overload(max_lag=None, max_cpu=None)
    load.measured(100, 1, 100)
    assert not load.overloaded


async def test_blocked_loop_turns_new_sessions_away() -> None:
    """While the event loop is blocked again and again, an offer gets 503 and Retry-After before
    anything is made of it, places wait, and both go on when it is over."""
    sessions = Stream(same).sessions()
    async with Overload(max_lag=0.1, max_cpu=None) as load:
        time.sleep(1.0)  # noqa: ASYNC251
        await until(lambda: load.overloaded)
        with pytest.raises(Problem) as refusal:
            await sessions.connect("no offer", {}, Peer(None, {}), IceOptions(), overload=load)
        assert refusal.value.status == 503
        assert int(refusal.value.headers["Retry-After"]) >= 1
        assert load.state.refused == 1 and load.state.lag > 0.1
        news = sessions.door.queue(load)
        assert await anext(news) == {"position": 1, "estimate": None}
        async with asyncio.timeout(10):
            while "ticket" not in (event := await anext(news)):
                assert event["position"] == 1
        assert not load.overloaded
        async with testing.connect(sessions, ticket=event["ticket"]):
            pass
        await news.aclose()


async def test_worker_processes_count() -> None:
    """What functions use in processes of their own is the server's load, too."""
    stream = Stream(isolated.hanging, isolation="process")
    async with Overload(max_lag=None, max_cpu=None) as load, testing.connect(stream) as peer:
        await peer.apply(scene(64, 48))
        before = processor_times()
        await peer.set(on=True)
        peer.send(scene(64, 48))

        def busy() -> float:
            now = processor_times()
            return sum(now[pid] - before.get(pid, 0.0) for pid in now if pid != os.getpid())

        await until(lambda: busy() > 0.5)
        assert load.state.cpu > 0.1 / available_cores()


async def test_server_measures_itself() -> None:
    """A server has one monitor, for all that is mounted in it, and ends it."""
    app = web.Application()
    app.add_subapp("/same/", Stream(same).app())
    async with listening(app, ServerOptions(port=0, max_lag=0.1)) as url:
        load = app[OVERLOAD]
        time.sleep(1.0)  # noqa: ASYNC251
        await until(lambda: load.overloaded)
        async with aiohttp.ClientSession() as client:
            headers = {"Content-Type": "application/sdp"}
            async with client.post(url + "same/session", data="v=0", headers=headers) as answer:
                assert answer.status == 503
                assert int(answer.headers["Retry-After"]) >= 1
                assert (await answer.json(content_type=None))["title"] == "The server is busy"
    assert load._watching is not None and load._watching.done()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_lag": 0.0}, "max_lag must be seconds above zero, not 0.0"),
        ({"max_lag": float("nan")}, "max_lag must be"),
        ({"max_cpu": 0.0}, "max_cpu must be above 0 and at most 1, not 0.0"),
        ({"max_cpu": 95.0}, "max_cpu must be"),
    ],
)
def test_wrong_bounds(options: dict[str, float], words: str) -> None:
    """Bounds that cannot be are refused, and say what can."""
    with pytest.raises(CommandError, match=words):
        ServerOptions(**options).check()  # type: ignore[arg-type]
