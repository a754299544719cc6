"""The microphone and the camera, taken as a whole: recordings, and turns of speech."""

import asyncio
import threading
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import pytest

from rtcstream import (
    Limit,
    Recording,
    Samples,
    Stream,
    Turn,
    Utterance,
    VideoChunk,
    VideoRecording,
    testing,
)
from rtcstream.annotations import Take
from rtcstream.media import to_frame
from rtcstream.recording import Recorder
from rtcstream.testing import TestPeer
from rtcstream.video_recording import VideoRecorder
from tests import hearing
from tests.microphone import FRAME, RATE, speak, whistle
from tests.pictures import difference, scene


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray[Any, Any]:
    """A second of somebody speaking."""
    path = tmp_path_factory.mktemp("speech") / "voice.wav"
    samples = hearing.read(hearing.speak(path, "everybody wants to talk about the weather"))
    return samples[np.flatnonzero(np.abs(samples) > 0.02)[0] :][:RATE]


@asynccontextmanager
async def recording(peer: TestPeer) -> AsyncIterator[None]:
    """What is sent inside is recorded."""
    peer.send_text('{"type":"record","on":true}')
    await peer.message("state", value="recording")
    yield
    await peer.set()  # it has arrived
    await asyncio.sleep(0.1)  # and what was sent before, on another way
    peer.send_text('{"type":"record","on":false}')


async def test_recording_is_taken_whole() -> None:
    """Between record and stop everything is there, also as a .wav, which is deleted afterwards."""
    paths: list[Path] = []

    def about(take: Recording) -> dict[str, Any]:
        paths.append(take.path)
        with wave.open(str(take.path)) as file:
            form = [file.getnchannels(), file.getframerate(), file.getnframes()]
        loudest = float(np.abs(take.samples).max())
        return {"shape": take.samples.shape, "rate": take.rate, "wav": form, "loudest": loudest}

    async with testing.connect(Stream(about)) as peer:
        async with recording(peer):
            await speak(peer, whistle(0.5))
        told = await peer.result()
        await peer.message("state", value="finished")
    assert told["rate"] == RATE
    assert told["shape"][0] == 2
    assert told["shape"][1] == pytest.approx(RATE / 2, abs=3 * FRAME)
    assert told["wav"] == [2, RATE, told["shape"][1]]
    assert told["loudest"] == pytest.approx(0.5, abs=0.05)
    assert not paths[0].exists()


async def test_recording_plays_again_without_a_gap() -> None:
    """A take that is yielded three times is heard three times, one right after the other."""

    def again(take: Recording) -> Iterator[tuple[int, Samples]]:
        for _ in range(3):
            yield take.rate, take.samples

    async with testing.connect(Stream(again)) as peer:
        async with recording(peer):
            await speak(peer, whistle(0.4))
        await peer.message("state", value="thinking")
        await peer.message("state", value="finished")
        heard = await peer.hear(sum(len(part) for _, part in peer.sound) / RATE)
    loud = np.abs(heard[0]).reshape(-1, FRAME // 2).max(axis=1) > 0.1
    first, last = np.flatnonzero(loud)[[0, -1]]
    assert (last - first) * 0.01 == pytest.approx(1.2, abs=0.2)
    assert loud[first : last + 1].all()


def test_recording_prints_what_it_is() -> None:
    assert str(Recording(np.zeros((2, 48_000)), 48_000)) == "Recording(1.0 s, 2 channels, 48000 Hz)"
    assert str(Utterance(np.zeros((1, 40_000)), 16_000)) == "Utterance(2.5 s, mono, 16000 Hz)"


async def test_recording_has_a_limit() -> None:
    """At its limit a recording ends by itself, and the page is told."""

    def length(take: Annotated[Recording, Limit(seconds=0.3)]) -> float:
        return take.seconds

    async with testing.connect(Stream(length)) as peer:
        peer.send_text('{"type":"record","on":true}')
        await peer.message("state", value="recording")
        await speak(peer, whistle(0.6))
        assert await peer.result() == pytest.approx(0.3, abs=0.03)
        log = await peer.message("log")
        assert "0.3 seconds" in log["message"]
        assert (await peer.message("progress"))["value"] > 0


class Told:
    """Notes what a recorder says; ``then`` is called with each of it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.then: Callable[[str], None] = lambda text: None

    def on_state(self, value: str) -> None:
        self._note(value)

    def on_warning(self, text: str) -> None:
        self._note(text)

    def progress(self, value: float, text: str = "") -> None:
        assert 0 <= value <= 1
        self._note(text)

    def _note(self, text: str) -> None:
        self.said.append(text)
        self.then(text)


def frame(number: int) -> av.AudioFrame:
    """20 ms of sound in which each sample is the frame's number."""
    found = av.AudioFrame.from_ndarray(np.full((1, 2 * FRAME), number, np.int16), "s16", "stereo")
    found.sample_rate, found.pts = RATE, number * FRAME
    return found


def test_recording_has_a_limit_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that is large ends as a long one does, with other words; both are shown."""
    monkeypatch.setattr("rtcstream.recording.MOST_BYTES", 2_000_000)
    told, given = Told(), list[Recording]()
    recorder = Recorder(Take(60.0), given.append, told)
    recorder.record(True)
    for number in range(600):
        recorder.put(frame(number))
    [take] = given
    assert take.samples.size * 2 == pytest.approx(2_000_000, abs=4 * FRAME)
    assert told.said[0] == "recording"
    assert told.said[-2] == "10 of 60 s, 2.0 MB"
    assert told.said[-1] == "the recording ended at 10 seconds: it has 2 MB, the most that is kept"


def test_video_recording_has_a_limit_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A film that is large ends as a long one does, with other words."""
    monkeypatch.setattr("rtcstream.recording.MOST_BYTES", 500_000)
    told, given = Told(), list[VideoRecording]()
    recorder = VideoRecorder(Take(60.0, video=True), given.append, told)
    recorder.record(True)
    rng = np.random.default_rng(0)
    for number in range(40):  # of noise, which no codec makes small
        picture = to_frame(rng.integers(0, 255, (240, 320, 3), np.uint8), "bgr24")
        picture.pts, picture.time_base = number * 3000, Fraction(1, 90_000)
        recorder.put_picture(picture)
    [film] = given
    try:
        assert 500_000 <= film.path.stat().st_size < 700_000
        assert told.said[-1].endswith("the most that is kept")
    finally:
        film.delete()


def test_recording_is_exact() -> None:
    """What is recorded in 16 bits is given as floats, and written to the file, bit for bit."""
    given: list[Recording] = []
    recorder = Recorder(Take(60.0), given.append, Told())
    recorder.record(True)
    for number in range(50):
        recorder.put(frame(number))
    recorder.record(False)
    [take] = given
    expected = np.repeat(np.arange(50), FRAME)
    assert take.seconds == 1.0
    try:
        for _ in range(2):  # the second time from what was joined meanwhile
            with wave.open(str(take.path)) as file:
                written = np.frombuffer(file.readframes(RATE), "<i2").reshape(-1, 2)
            assert np.array_equal(written.T, [expected, expected])
            assert take.samples.dtype == np.float32
            assert np.array_equal(take.samples, [expected / 32_768, expected / 32_768])
            take.path.unlink()
    finally:
        take.delete()


def test_full_recording_ends_before_the_next_begins() -> None:
    """A recording that begins at the moment when the last one is full is not ended with it."""
    told, given = Told(), list[Recording]()
    recorder = Recorder(Take(0.1), given.append, told)
    begun = threading.Event()

    def again() -> None:
        begun.set()
        recorder.record(True)

    page = threading.Thread(target=again)

    def at_the_limit(text: str) -> None:
        if "its limit" in text:
            page.start()  # as the page would, from the event loop
            assert begun.wait(10)

    told.then = at_the_limit
    recorder.record(True)
    for number in range(5):
        recorder.put(frame(number))
    page.join()
    told.then = lambda text: None
    assert len(given) == 1
    recorder.put(frame(5))
    recorder.record(False)
    assert [take.seconds for take in given] == pytest.approx([0.1, 0.02])


@pytest.mark.parametrize("again", [False, True])
async def test_sound_that_the_stop_has_overtaken_is_recorded(again: bool) -> None:
    """The page's word is faster than the sound of that moment, for which the recording waits;
    another recording that begins meanwhile does not drop it."""

    def length(take: Recording) -> float:
        return take.seconds

    async with testing.connect(Stream(length)) as peer:
        assert peer.session is not None
        wiring = peer.session._wiring
        assert isinstance(wiring.recorder, Recorder)
        wiring.record(True)
        wiring.recorder.put(frame(0))
        wiring.record(False)
        wiring.record(False)
        wiring.recorder.put(frame(1))
        if again:
            wiring.record(True)
        assert await peer.result() == pytest.approx(0.04)
        wiring.recorder.put(frame(2))
        if again:
            wiring.record(False)
            assert await peer.result() == pytest.approx(0.02)


async def test_nothing_recorded_is_said() -> None:
    """A recording without a sound in it is no call, and the page is told."""
    called = False

    def take_it(take: Recording) -> None:
        nonlocal called
        called = True

    async with testing.connect(Stream(take_it)) as peer:
        peer.send_text('{"type":"record","on":true}')
        peer.send_text('{"type":"record","on":false}')
        assert "nothing was recorded" in (await peer.message("log"))["message"]
        peer.send_text('{"type":"record","on":false}')
        peer.send_text('{"type":"record","on":1}')
        assert "true or false" in (await peer.message("error"))["message"]
    assert not called


async def test_video_recording_has_pictures_and_sound() -> None:
    """A take of the camera has its pictures and its sound, and its .mp4 plays again."""
    told: dict[str, Any] = {}

    def about(take: VideoRecording) -> Iterator[VideoChunk]:
        frames = list(take.frames)
        told["count"], told["shape"] = len(frames), frames[0].shape
        told["difference"] = difference(frames[-1], scene())
        told["loudest"] = float(np.abs(take.samples).max())
        with av.open(take.path) as file:
            told["streams"] = [len(file.streams.video), len(file.streams.audio)]
        told["path"] = take.path
        yield take.path

    async with testing.connect(Stream(about)) as peer:
        async with recording(peer):
            sound = whistle(1.0)
            for number in range(30):
                peer.send(scene())
                await speak(peer, sound[number * 1600 : (number + 1) * 1600])
        await peer.message("state", value="finished")
        assert np.concatenate([part for _, part in peer.sound]).max() > 10_000
        assert peer.pictures
    assert told["count"] >= 10
    assert told["shape"] == (480, 640, 3)
    assert told["difference"] < 15
    assert told["loudest"] == pytest.approx(0.5, abs=0.15)
    assert told["streams"] == [1, 1]
    assert not told["path"].exists()


async def test_speech_is_cut_into_turns(by_loudness: None) -> None:
    """A turn begins a little before speech and ends with the pause; too short is none."""

    def length(speech: Annotated[Utterance, Turn(pause=0.3, minimum=0.2)]) -> float:
        assert speech.rate == 16_000 and speech.samples.shape[0] == 1
        return speech.seconds

    async with testing.connect(Stream(length)) as peer:
        await peer.message("state", value="listening")
        await speak(peer, np.zeros(RATE // 2))
        await speak(peer, whistle(0.08))  # a cough
        await speak(peer, np.zeros(RATE // 2))
        await speak(peer, whistle(0.8))
        await speak(peer, np.zeros(RATE))
        assert await peer.result() == pytest.approx(0.8 + 0.3 + 0.2, abs=0.15)
        states = [m["value"] for m in peer.messages if m["type"] == "state"]
        assert states.count("thinking") == 1
        assert states[-1] == "listening"


async def test_microphone_that_is_taken_away_ends_the_turn(voice: np.ndarray[Any, Any]) -> None:
    """A turn ends though no packet follows it, not even of silence; the next one is heard."""

    def length(speech: Annotated[Utterance, Turn(pause=0.3)]) -> float:
        return speech.seconds

    async with testing.connect(Stream(length), timeout=20) as peer:
        for _ in range(2):
            await speak(peer, voice)
            assert await peer.result() == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("interrupt", [True, False])
async def test_speaking_again_interrupts(interrupt: bool, voice: np.ndarray[Any, Any]) -> None:
    """Speech during an answer closes its generator and silences it at once, unless told not to."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(speech: Annotated[Utterance, Turn(interrupt=interrupt)]) -> Iterator[Samples]:
        try:
            while True:
                yield whistle(0.1, 0.9)
        finally:
            loop.call_soon_threadsafe(closed.set)

    async with testing.connect(Stream(answer)) as peer:
        await speak(peer, np.concatenate([voice, np.zeros(RATE)]))
        await peer.message("state", value="thinking")
        peer.messages.clear()
        peer.sound.clear()
        assert np.abs(await peer.hear(0.5)).max() > 0.5
        await speak(peer, voice[: RATE // 2])
        await peer.message("state", value="speaking")
        peer.sound.clear()
        heard = await peer.hear(0.5)
        if interrupt:
            await asyncio.wait_for(closed.wait(), 2)
            assert np.abs(heard[:, RATE // 10 :]).max() < 0.01, "silent after 100 ms"
        else:
            assert np.abs(heard[:, RATE // 10 :]).max() > 0.5
            assert not closed.is_set()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Limit(0), "above 0"),
        (lambda: Limit(601), "600"),
        (lambda: Turn(pause=0), "0.02 to 10"),
        (lambda: Turn(minimum=11), "0.02 to 10"),
    ],
)
def test_options_out_of_range(make: Any, words: str) -> None:
    """Limits and turns out of range are refused in words."""
    with pytest.raises(ValueError, match=words):
        make()
