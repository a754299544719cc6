"""Functions in worker processes: the same as on threads, and what goes wrong in one stays there."""

import asyncio
import json
import os
import signal
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtcstream import Image, SignatureError, Stream, testing
from rtcstream.negotiator import Sessions
from tests import isolated
from tests.conftest import Leaks
from tests.pictures import difference, plain, scene
from tests.waiting import until


def isolate(function: Any, **options: Any) -> Stream:
    return Stream(function, isolation="process", **options)


def gone(pid: int) -> bool:
    """Whether a process has ended, and nobody has to reap it."""
    return not Path(f"/proc/{pid}").exists()


async def pid_of(peer: testing.TestPeer) -> int:
    peer.send(scene())
    return int(await peer.result())


async def test_a_picture_through_a_process() -> None:
    """A filter in a process shows what it does on a thread, of any size, odd and changing too."""
    async with testing.connect(isolate(isolated.negative)) as peer:
        for size in ((640, 480), (161, 121), (1280, 720), (64, 48)):
            image = scene(*size)
            assert difference(await peer.apply(image), 255 - image) < 12


async def test_results_keep_their_frames() -> None:
    """A result names the frame that it was made of, and it is another process that made it."""
    async with testing.connect(isolate(isolated.counted)) as peer:
        await peer.apply(plain((0, 0, 0)))
        await peer.message("result")
        for grey in (40, 90, 140, 190):
            pts = peer.send(plain((grey, grey, grey)))
            result = await peer.message("result")
            assert result["pts"] == pts
            assert abs(result["data"] - grey) <= 3
    async with testing.connect(isolate(isolated.process_id)) as peer:
        assert await pid_of(peer) != os.getpid()


async def test_controls_apply_to_the_next_call() -> None:
    """A control that is set counts for the very next call, and first values for the first."""
    async with testing.connect(isolate(isolated.tinted), controls={"level": 200}) as peer:
        assert abs(float((await peer.apply(scene())).mean()) - 200) < 4
        await peer.set(level=60)
        assert abs(float((await peer.apply(scene())).mean()) - 60) < 4


async def test_sound_through_a_process() -> None:
    """A sound filter in a process gets blocks as it asks for them, and its sound is played."""
    async with testing.connect(isolate(isolated.quieter)) as peer:
        await peer.message("state", value="loading")
        clip = np.full((2, 48000), 0.5, np.float32)
        peer.send_sound(clip)
        heard = await peer.hear(0.7)
        assert abs(float(np.median(heard)) - 0.25) < 0.05


async def test_an_async_function_in_a_process() -> None:
    """An `async def` is awaited in its process."""
    async with testing.connect(isolate(isolated.patient)) as peer:
        image = scene()
        assert difference(await peer.apply(image), 255 - image) < 12


async def test_what_a_function_raises_there() -> None:
    """What is raised in a process is told as on a thread, with its line, and counted."""
    async with testing.connect(isolate(isolated.raising)) as peer:
        for _ in range(3):
            peer.send(scene())
            await asyncio.sleep(0.1)
        log = await peer.message("log")
        assert log["message"].startswith("raising() raised ValueError: no luck (isolated.py, line")
        assert (await peer.message("log"))["count"] > 1
    async with testing.connect(isolate(isolated.wrong)) as peer:
        peer.send(scene())
        assert "wrong(): it returned None, but" in (await peer.message("log"))["message"]


async def test_a_session_is_spoken_to_from_a_process() -> None:
    """`send`, `receive`, `info`, `warn`, `progress`, `state` and `close` work there."""
    async with testing.connect(isolate(isolated.talkative)) as peer:
        peer.send_text(json.dumps({"type": "data", "data": {"x": "ä" * 30_000}}))
        peer.send_text(json.dumps({"type": "data", "data": 7}))
        peer.send(scene())
        data = (await peer.message("data"))["data"]
        assert data["received"][-1:] == [7]
        assert (await peer.message("log", level="info"))["message"] == "hello"
        assert (await peer.message("log", level="warning"))["message"] == "careful"
        progress = await peer.message("progress")
        assert peer.session is not None
        assert (progress["value"], progress["text"]) == (0.5, peer.session.id)
        peer.send(scene())
        await asyncio.wait_for(peer.session.closed.wait(), 5)


async def test_a_class_has_its_state_and_its_close_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class is built once in each session's process, and `close()` is called at the end."""
    file = tmp_path / "count"
    monkeypatch.setenv("RTCSTREAM_TEST_FILE", str(file))
    sessions = isolate(isolated.Counter).sessions()
    async with testing.connect(sessions) as one, testing.connect(sessions) as other:
        counts = []
        for peer in (one, one, one, other):
            peer.send(scene())
            counts.append(await peer.result())
        assert counts[-1] < counts[-2]
        assert counts[1] == counts[0] + 1
    await until(lambda: file.exists() and file.read_text())
    await sessions.end_all("done")


async def test_a_constructor_that_raises_there() -> None:
    """A class that cannot be built is told to the page, and shows nothing."""
    async with testing.connect(isolate(isolated.Unbuilt)) as peer:
        assert "the weights are missing" in (await peer.message("log"))["message"]
        assert await peer.message("state", value="finished")
        assert not peer.pictures


@pytest.mark.parametrize(
    ("how", "words"), [("exit", "exit status 3"), ("segv", "signal 11"), ("kill", "signal 9")]
)
async def test_a_process_that_dies_is_replaced(how: str, words: str) -> None:
    """A crash costs one frame of its own session: the page is told, the other session sees nothing,
    and another process takes over."""
    sessions = isolate(isolated.dying).sessions()
    async with testing.connect(sessions) as other, testing.connect(sessions) as peer:
        pid, others = await pid_of(peer), await pid_of(other)
        if how == "kill":
            os.kill(pid, signal.SIGKILL)  # while it does nothing
        else:
            await peer.set(how=how)
            peer.send(scene())
        log = await peer.message("log")
        assert log["level"] == "error"
        assert log["message"] == f"dying(): the worker process died ({words}); it is started anew"
        assert await pid_of(other) == others
        await peer.set(how="")
        assert await pid_of_the_next(peer) != pid
        assert gone(pid)
        assert not [m for m in other.messages if m["type"] == "log"]
        faults = sessions.runner.faults
        assert (faults.worker_deaths, faults.hangs) == (1, 0)
    await sessions.end_all("done")


async def pid_of_the_next(peer: testing.TestPeer) -> int:
    """Send pictures as a camera does, until one has been answered."""
    async with asyncio.timeout(10):
        while True:
            peer.send(scene())
            for message in peer.messages:
                if message["type"] == "result":
                    peer.messages.remove(message)
                    return int(message["data"])
            await asyncio.sleep(0.03)


async def test_a_function_that_hangs_is_killed_with_its_session() -> None:
    """A loop that never ends is reported once and counted; its process ends with the session."""
    sessions = isolate(isolated.hanging, hang_timeout=0.5).sessions()
    async with testing.connect(sessions) as peer:
        pid = await pid_of(peer)
        await peer.set(on=True)
        peer.send(scene())
        log = await peer.message("log")
        assert "hanging() has not returned for 0.5 seconds" in log["message"]
        await peer.message("stats")
        await peer.message("stats")
        assert not [m for m in peer.messages if m["type"] == "log"], "once"
        assert sessions.runner.faults.hangs == 1
        assert peer.session is not None
        started = time.monotonic()
        await peer.session.end("enough")
        assert time.monotonic() - started < 2
        await until(lambda: gone(pid))
        assert time.monotonic() - started < 3
    await sessions.end_all("done")


async def test_what_a_function_has_started_ends_with_it() -> None:
    """Processes of a function's own end with its session."""
    async with testing.connect(isolate(isolated.parental)) as peer:
        pid = await pid_of(peer)
        assert not gone(pid)
    await until(lambda: gone(pid) or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])


async def lag(seconds: float) -> float:
    """The longest that the event loop was late meanwhile, in seconds."""
    worst, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        worst = max(worst, time.monotonic() - before - 0.005)
    return worst


async def rounds(peer: testing.TestPeer, count: int) -> float:
    """The median time, in seconds, of a picture there and back."""
    times = []
    for _ in range(count):
        started = time.monotonic()
        await peer.apply(scene(160, 120))
        times.append(time.monotonic() - started)
    return statistics.median(times)


async def test_a_loop_that_holds_the_interpreter_slows_no_other_session() -> None:
    """While one session's function spins in Python, another's pictures take no longer than before,
    by far less than the interpreter's turns, and the event loop is as punctual."""
    sessions = isolate(isolated.hanging, hang_timeout=None).sessions()
    async with testing.connect(sessions) as other, testing.connect(sessions) as peer:
        await pid_of(peer)
        await other.apply(scene(160, 120))
        alone = await rounds(other, 40)
        await peer.set(on=True)
        peer.send(scene())
        beside = await rounds(other, 40)
        assert beside < max(3 * alone, 0.03)
        assert statistics.median([await lag(0.2) for _ in range(5)]) < 0.05
    await sessions.end_all("done")


async def test_generators_in_a_process() -> None:
    """A generator's pictures, results and restarts come from a process."""
    async with testing.connect(isolate(isolated.levels)) as peer:
        await peer.message("state", value="finished")
        seen = [round(float(picture.mean()), -1) for _, picture in peer.pictures]
        assert {50, 100, 150} <= set(seen)
    async with testing.connect(isolate(isolated.numbers)) as peer:
        assert await peer.result() != os.getpid()
        assert (await peer.message("result", data=0, run=1))["data"] == 0
        await peer.set(start=5)
        assert (await peer.message("result", data=5))["run"] == 2


async def test_live_controls_in_a_process() -> None:
    """A `Live` value reaches a generator that runs, also between two things that it yields."""
    async with testing.connect(isolate(isolated.tone)) as peer:
        assert (await peer.message("result"))["data"] == 440.0
        await peer.set(hz=220.0)
        await peer.message("result", data=220.0, run=1)
        heard = await peer.hear(0.4)
        assert abs(float(np.median(heard)) - 0.25) < 0.05
    async with testing.connect(isolate(isolated.waiting)) as peer:
        assert await peer.result() == 1.0
        await peer.set(hz=2.0)
        assert await peer.result() == 2.0


async def test_a_generator_whose_process_dies_begins_anew() -> None:
    """A run that is lost with its process is run again, by another process."""
    async with testing.connect(isolate(isolated.suicidal)) as peer:
        first = await peer.message("result")
        assert "died (exit status 1)" in (await peer.message("log"))["message"]
        second = await peer.message("result")
        assert first["data"] != second["data"]
        assert second["run"] == first["run"] + 1


async def test_quick_deaths_in_a_row_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five quick deaths in a row the page is told that the next start is later."""
    from rtcstream.isolation import BackOff

    monkeypatch.setattr(BackOff, "INTERVAL", 0.01)
    async with testing.connect(isolate(isolated.suicidal), timeout=30) as peer:
        async with asyncio.timeout(30):
            while True:
                message = (await peer.message("log"))["message"]
                if "after 5 quick deaths in a row at the soonest 10 seconds" in message:
                    break


def test_when_the_next_process_may_start() -> None:
    """A second after the last start; after five quick deaths ten, then twice that, at most 60."""
    from rtcstream.isolation import BackOff

    back_off = BackOff()
    assert back_off.wait == 0
    back_off.note_start()
    assert 0.5 < back_off.wait <= 1
    intervals = []
    for _ in range(9):
        back_off.note_death()
        intervals.append(back_off.interval)
    assert intervals == [1, 1, 1, 1, 10, 20, 40, 60, 60]


@pytest.mark.slow
async def test_fifty_sessions_leave_nothing_behind(leaks: Leaks) -> None:
    """50 sessions in processes leave no process, descriptor, thread or shared memory."""
    shared = sorted(os.listdir("/dev/shm"))
    sessions = isolate(isolated.process_id).sessions()
    async with testing.connect(sessions) as peer:
        await pid_of(peer)
    pids = []
    async with leaks():
        for _ in range(50):
            async with testing.connect(sessions) as peer:
                pids.append(await pid_of(peer))
    assert len(set(pids)) == 50
    await sessions.end_all("done")
    await until(lambda: not children())
    assert all(gone(pid) for pid in pids)
    assert sorted(os.listdir("/dev/shm")) == shared


def children() -> list[str]:
    """This process's worker processes."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            ppid = status.read_text().rpartition(")")[2].split()[1]
            if (
                ppid == str(os.getpid())
                and b"rtcstream.child" in status.with_name("cmdline").read_bytes()
            ):
                found.append(status.parent.name)
        except OSError:
            continue
    return found


async def test_a_session_leaves_no_process(leaks: Leaks) -> None:
    """Processes, descriptors and threads are as before when a session has ended."""
    async with testing.connect(isolate(isolated.process_id)) as peer:
        await pid_of(peer)
    async with leaks(), testing.connect(isolate(isolated.process_id)) as peer:
        await pid_of(peer)
    await until(lambda: not children())


def test_what_a_process_cannot_run() -> None:
    """What another process cannot find, or be given, is refused with what to do instead."""
    import av

    def inner(image: Image) -> Image:
        return image

    def raw(frame: av.VideoFrame) -> av.VideoFrame:
        return frame

    for function in (inner, lambda image: image):
        with pytest.raises(SignatureError, match="write it at the top level of a file"):
            isolate(function)
    with pytest.raises(SignatureError, match="takes and gives `Image`, not av.VideoFrame"):
        isolate(raw)
    with pytest.raises(SignatureError, match="give the Stream its class"):
        isolate(isolated.Counter())
    with pytest.raises(ValueError, match="isolation must be 'thread' or 'process'"):
        Stream(isolated.negative, isolation="fork")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="hang_timeout must be above zero"):
        Stream(isolated.negative, hang_timeout=0)
    assert isinstance(isolate(isolated.negative).sessions(), Sessions)
