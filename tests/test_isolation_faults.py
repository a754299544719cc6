"""What goes wrong in a worker process costs its own session only, and leaves nothing behind."""

import asyncio
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

from rtcstream import testing
from rtcstream.faults import BackOff
from tests import isolated
from tests.conftest import Leaks
from tests.pictures import scene
from tests.processes import children, gone, heard_at, isolate, pid_of, pid_of_the_next, tone
from tests.waiting import until


async def test_sound_whose_process_dies() -> None:
    """A sound filter goes on in another process, after a hole as long as it took."""
    async with testing.connect(isolate(isolated.brittle)) as peer:
        clip = tone(0.5)
        await heard_at(peer, 0.5, clip)
        await peer.set(on=False)
        peer.send_sound(clip)
        assert "died (exit status 1)" in (await peer.message("log", level="error"))["message"]
        await peer.set(on=True)
        await heard_at(peer, 0.5, clip)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", "exit status 3"),
        ("segv", "signal 11"),
        ("kill", "signal 9"),
        ("nonsense", ""),
        ("deaf", ""),
    ],
)
async def test_a_process_that_dies_is_replaced(how: str, words: str) -> None:
    """A crash, or nonsense, costs a frame of its own session: the page is told, another process
    takes over, and the other session sees nothing."""
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
        assert log["message"].startswith(f"dying(): the worker process died ({words}")
        assert log["message"].endswith("); it is started anew")
        assert await pid_of(other) == others
        await peer.set(how="")
        assert await pid_of_the_next(peer) != pid
        assert gone(pid)
        assert not [m for m in other.messages if m["type"] == "log"]
        assert all(abs(float(picture.mean()) - 99) < 4 for _, picture in peer.pictures)
        faults = sessions.runner.faults
        assert (faults.worker_deaths, faults.hangs) == (1, 0)
    await sessions.end_all("done")


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
    monkeypatch.setattr(BackOff, "INTERVAL", 0.01)
    async with testing.connect(isolate(isolated.suicidal), timeout=30) as peer:
        async with asyncio.timeout(30):
            while True:
                message = (await peer.message("log"))["message"]
                if "after 5 quick deaths in a row at the soonest 10 seconds" in message:
                    break


def test_when_the_next_process_may_start() -> None:
    """A second after the last start; after five quick deaths ten, then twice that, at most 60."""
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


async def test_a_session_leaves_no_process(leaks: Leaks) -> None:
    """Processes, descriptors and threads are as before when a session has ended."""
    async with testing.connect(isolate(isolated.process_id)) as peer:
        await pid_of(peer)
    async with leaks(), testing.connect(isolate(isolated.process_id)) as peer:
        await pid_of(peer)
    await until(lambda: not children())
