"""Takes, turns and runs under abuse: what ends, fails, floods or comes too late leaves nothing."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import pytest

from rtcstream import Image, Recording, Samples, Stream, Turn, Utterance, VideoRecording, testing
from rtcstream.annotations import Take
from rtcstream.media import to_frame
from rtcstream.video_recording import VideoRecorder
from tests.leaks import no_leaks
from tests.sounds import RATE, tone
from tests.waiting import runs_of, until


class Told:
    """Notes what a recorder says."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.warnings: list[str] = []

    def on_state(self, value: str) -> None:
        self.states.append(value)

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)

    def progress(self, value: float, text: str = "") -> None:
        pass


def recorder(seconds: float = 60.0) -> tuple[VideoRecorder, Told, list[VideoRecording]]:
    told, given = Told(), list[VideoRecording]()
    return VideoRecorder(Take(seconds, video=True), given.append, told), told, given


def picture(number: int, size: tuple[int, int] = (48, 64)) -> av.VideoFrame:
    frame = to_frame(np.full((*size, 3), 90, np.uint8), "bgr24")
    frame.pts, frame.time_base = 1_000_000 + number * 3000, Fraction(1, 90_000)
    return frame


def sound(number: int, value: int = 8000) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.full((1, 1920), value, np.int16), "s16", "stereo")
    frame.sample_rate, frame.pts = RATE, 500_000 + number * 960
    return frame


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """The temporary folders that there are."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return lambda: list(tmp_path.glob("rtcstream-*"))


def test_a_flood_of_records_makes_no_files(folders: Callable[[], list[Path]]) -> None:
    """Recordings begun and ended without a picture cost no folder and no file."""
    recording, told, given = recorder()
    for _ in range(1000):
        recording.record(True)
    assert not folders()
    recording.record(False)
    recording.record(False)
    assert not given and len(told.warnings) == 1


def test_sound_alone_ends_at_the_limit(folders: Callable[[], list[Path]]) -> None:
    """A camera that stops in a recording does not let its sound go on without a bound."""
    recording, told, given = recorder(seconds=1.0)
    recording.record(True)
    recording.put_picture(picture(0))
    for number in range(100):
        recording.put_sound(sound(number))
    assert len(given) == 1 and "limit" in told.warnings[0]
    given[0].delete()
    assert not folders()


def test_lost_sound_does_not_move_what_follows() -> None:
    """In a recording, sound that was lost is silence, so that the voice stays with the lips."""
    recording, _, given = recorder()
    recording.record(True)
    for number in range(60):
        recording.put_picture(picture(number))
    for number in range(100):
        if not 20 <= number < 60:
            recording.put_sound(sound(number))
    recording.record(False)
    [take] = given
    try:
        assert take.samples.shape[1] / RATE == pytest.approx(2.0, abs=0.1)
        assert len(list(take.frames)) == 60
    finally:
        take.delete()


def test_a_recording_that_fails_says_so_once(
    folders: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording whose file cannot be written ends with one warning, and leaves no file."""
    recording, told, given = recorder()

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("rtcstream.video_recording._Film.add_picture", full)
    recording.record(True)
    for number in range(5):
        recording.put_picture(picture(number))
    assert told.warnings == ["the recording failed: no space left"]
    assert told.states == ["recording", "finished"]
    assert not folders() and not given


@pytest.mark.parametrize("size", [(2, 2), (49, 65)])
def test_pictures_that_jump(size: tuple[int, int]) -> None:
    """Times that go back and sizes that change are no error, nor are odd and tiny pictures."""
    recording, told, given = recorder()
    recording.record(True)
    for number, form in ((0, size), (5, (480, 640)), (3, size), (5, size), (6, size)):
        recording.put_picture(picture(number, form))
    recording.record(False)
    assert not told.warnings
    assert len(list(given[0].frames)) == 3
    given[0].delete()


async def test_no_take_is_left_behind(folders: Callable[[], list[Path]]) -> None:
    """A take is deleted when it never ran: replaced, waiting at the end, or given after it."""
    deleted: list[str] = []

    def take(name: str) -> VideoRecording:
        return VideoRecording(Path(name), 1.0, lambda: deleted.append(name))

    release = threading.Event()

    def show(film: VideoRecording) -> Iterator[str]:
        yield "a"
        release.wait(10)

    async with testing.connect(Stream(show)) as peer:
        runs = runs_of(peer)
        runs.give(take("first"))
        await peer.result()
        runs.give(take("replaced"))
        runs.give(take("waiting"))
        assert deleted == ["replaced"]
    assert deleted == ["replaced", "waiting"]
    runs.give(take("late"))
    assert deleted == ["replaced", "waiting", "late"]
    release.set()
    await until(lambda: not runs.running)
    assert deleted == ["replaced", "waiting", "late", "first"]


async def test_a_take_is_deleted_though_the_close_raises() -> None:
    """The take's file goes even when the generator raises as it is closed."""

    def show(take: Recording) -> Iterator[Samples]:
        assert take.path.exists()
        paths.append(take.path)
        try:
            while True:
                yield np.zeros((2, 960), np.float32)
        finally:
            raise ValueError("in close")

    paths: list[Path] = []
    async with testing.connect(Stream(show)) as peer:
        runs = runs_of(peer)
        runs.give(Recording(np.zeros((2, 4800), np.float32), RATE))
        await peer.hear(0.1)
        runs.give(Recording(np.zeros((2, 4800), np.float32), RATE))
        await until(lambda: len(paths) == 2)
        assert not paths[0].exists()
    await until(lambda: not runs.running)
    assert not paths[1].exists()


async def test_messages_after_the_end_begin_nothing() -> None:
    """A ``record`` that comes while the session ends begins no recording."""

    def show(take: VideoRecording) -> Iterator[str]:
        yield "a"

    async with testing.connect(Stream(show)) as peer:
        session = peer.session
        assert session is not None and isinstance(session._wiring.recorder, VideoRecorder)
        session.end_soon("enough")
        session._on_message(None, '{"type": "record", "on": true}')  # type: ignore[arg-type]
        assert not session._wiring.recorder._recording


async def test_a_stop_is_seen_however_late() -> None:
    """A session that ends just as its worker turns to wait ends that worker too."""

    def show(take: Recording) -> Iterator[str]:
        yield "a"

    async with no_leaks(), testing.connect(Stream(show)) as peer:
        runs = runs_of(peer)
        stopping = runs._stopping

        class Late(threading.Event):
            """Says what was true before the stop, which comes as it is asked."""

            def is_set(self) -> bool:
                before = stopping.is_set()
                if not before and threading.current_thread() is runs._thread:
                    runs.stop()
                    runs._stopping = stopping
                    stopping.set()
                return before

        runs._stopping = Late()
        runs._changed.set()
        await until(lambda: not runs.running)


@pytest.mark.parametrize("interrupt", [True, False])
async def test_a_turn_that_does_not_interrupt_waits(interrupt: bool) -> None:
    """With ``interrupt=False`` the answer plays to its end before the next turn is answered."""
    ends: list[bool] = []

    def answer(
        speech: Annotated[Utterance, Turn(interrupt=interrupt)],
    ) -> Iterator[tuple[Samples, int]]:
        whole = False
        try:
            for _ in range(75):
                yield tone(440, 0.02), len(ends)
            whole = True
        finally:
            ends.append(whole)

    async with testing.connect(Stream(answer)) as peer:
        runs = runs_of(peer)
        runs.give(Utterance(np.zeros((1, 1600), np.float32), 16_000))
        assert await peer.result() == 0
        runs.give(Utterance(np.zeros((1, 1600), np.float32), 16_000))
        await peer.message("result", data=1)
        assert ends[0] is not interrupt


async def test_pictures_with_empty_sound_have_a_pace() -> None:
    """Pictures yielded with no samples at all are shown at ``max_fps``, not as they come."""
    count = 0

    def silent() -> Iterator[tuple[Image, Samples]]:
        nonlocal count
        while True:
            count += 1
            yield np.full((48, 64, 3), 100, np.uint8), np.zeros((2, 0), np.float32)

    async with testing.connect(Stream(silent, max_fps=20)) as peer:
        began = time.monotonic()
        await until(lambda: len(peer.pictures) >= 10)
        seconds = time.monotonic() - began
        assert count < 20 * seconds + 30


async def test_the_first_two_pictures_have_a_pace() -> None:
    """The second picture of a run, or after a pause, keeps its distance: it does not take the
    first one's place before that has been seen."""

    def three() -> Iterator[Image]:
        for level in (40, 120, 200):
            yield np.full((48, 64, 3), level, np.uint8)

    async with testing.connect(Stream(three, max_fps=5)) as peer:
        await until(lambda: len(peer.pictures) == 3)
        times = [at for at, _ in peer.pictures]
    assert all((b - a) % 2**32 > 0.09 * 90_000 for a, b in itertools.pairwise(times))
