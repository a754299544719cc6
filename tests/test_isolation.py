"""Functions in worker processes do as they do on threads, or are refused."""

import asyncio
import json
import os
import wave
from pathlib import Path

import numpy as np
import pytest

from rtcstream import Image, SignatureError, Stream, testing
from rtcstream.faults import BackOff
from rtcstream.negotiator import Sessions
from tests import isolated
from tests.pictures import difference, plain, scene
from tests.processes import children, heard_at, isolate, pid_of, tone
from tests.waiting import until


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
        await heard_at(peer, 0.25, tone(0.5))


async def test_an_async_function_in_a_process() -> None:
    """An `async def` is awaited in its process."""
    async with testing.connect(isolate(isolated.patient)) as peer:
        image = scene()
        assert difference(await peer.apply(image), 255 - image) < 12


async def test_what_a_function_raises_there() -> None:
    """What is raised in a process is told as on a thread, with its line, and counted."""
    async with testing.connect(isolate(isolated.raising)) as peer:
        peer.send(scene())
        log = await peer.message("log")
        peer.send(scene())
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
        assert data["received"][-1:] == [7] and data["played"] == 0.0
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
        assert (await peer.message("end"))["reason"] == "load_failed"
        assert not peer.pictures


async def test_a_constructor_that_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes are tried, and not without end: then the page is told that it has failed."""
    monkeypatch.setattr(BackOff, "INTERVAL", 0.01)
    async with testing.connect(isolate(isolated.Deadly)) as peer:
        assert (await peer.message("end"))["reason"] == "load_failed"
        logs = [each["message"] for each in peer.messages if each["type"] == "log"]
        assert any("its worker process died 3 times in a row" in each for each in logs)


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
        await heard_at(peer, 0.25)
    async with testing.connect(isolate(isolated.waiting)) as peer:
        assert await peer.result() == 1.0
        await peer.set(hz=2.0)
        assert await peer.result() == 2.0


async def test_chunks_from_a_process(tmp_path: Path) -> None:
    """Chunks that a generator yields in a process, bytes and paths, are played."""
    path = tmp_path / "half.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((tone(0.25, 1.0)[0] * 32_767).astype("<i2").tobytes())
    async with testing.connect(isolate(isolated.chunks), controls={"path": str(path)}) as peer:
        await heard_at(peer, 0.25)
        assert not [m for m in peer.messages if m["type"] == "log"]


async def test_a_recording_goes_to_a_process() -> None:
    """A process gets a recording with its samples and its file, which is gone afterwards."""
    async with testing.connect(isolate(isolated.length)) as peer:
        peer.send_text('{"type": "record", "on": true}')
        await peer.message("state", value="recording")
        peer.send_sound(np.full((2, 24_000), 0.5, np.float32))
        await until(lambda: peer.session is not None and peer.session._wiring.frames_in >= 20)
        peer.send_text('{"type": "record", "on": false}')
        count, rate, size = await peer.result()
        assert 0.3 < count / rate < 1.5
        assert size > count


async def test_a_shared_run_in_a_process() -> None:
    """A shared stream has one process for all who watch."""
    sessions = isolate(isolated.numbers, shared=True).sessions()
    async with testing.connect(sessions) as one, testing.connect(sessions) as other:
        assert (await one.message("result", data=0))["run"] == 1
        await one.set(start=7)
        assert (await other.message("result", data=7))["run"] == 2
    await sessions.end_all("done")
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
    with pytest.raises(SignatureError, match="takes and gives `Image`, not"):
        isolate(raw)
    with pytest.raises(SignatureError, match="give the Stream its class"):
        isolate(isolated.Counter())
    with pytest.raises(ValueError, match="isolation must be 'thread' or 'process'"):
        Stream(isolated.negative, isolation="fork")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="hang_timeout must be above zero"):
        Stream(isolated.negative, hang_timeout=0)
    assert isinstance(isolate(isolated.negative).sessions(), Sessions)
