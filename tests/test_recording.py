"""The microphone and the camera, taken as a whole: recordings, and turns of speech."""

import asyncio
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
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
from rtcstream.recording import Energy
from rtcstream.testing import TestPeer
from tests.pictures import difference, scene

RATE = 48_000
FRAME = 960


def whistle(seconds: float, loudness: float = 0.5) -> np.ndarray[Any, Any]:
    """440 Hz."""
    return loudness * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)


async def speak(peer: TestPeer, samples: np.ndarray[Any, Any]) -> None:
    """Send sound at the pace of a microphone."""
    for start in range(0, len(samples), FRAME):
        peer.send_sound(samples[start : start + FRAME])
        await asyncio.sleep(FRAME / RATE * 0.9)


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


async def test_speech_is_cut_into_turns() -> None:
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


@pytest.mark.parametrize("interrupt", [True, False])
async def test_speaking_again_interrupts(interrupt: bool) -> None:
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
        await speak(peer, np.concatenate([whistle(0.6), np.zeros(RATE)]))
        await peer.message("state", value="thinking")
        peer.messages.clear()
        peer.sound.clear()
        assert np.abs(await peer.hear(0.5)).max() > 0.5
        await speak(peer, whistle(0.4))
        await peer.message("state", value="speaking")
        peer.sound.clear()
        heard = await peer.hear(0.5)
        if interrupt:
            await asyncio.wait_for(closed.wait(), 2)
            assert np.abs(heard[:, RATE // 10 :]).max() < 0.01, "silent after 100 ms"
        else:
            assert np.abs(heard[:, RATE // 10 :]).max() > 0.5
            assert not closed.is_set()


def test_energy_tells_speech_from_a_noisy_room() -> None:
    """A steady noise is silence once it is known, and a voice well above it is speech."""
    rng = np.random.default_rng(0)
    is_speech = Energy()
    room = [rng.normal(0, 0.005, (1, 320)).astype(np.float32) for _ in range(200)]
    assert not any([is_speech(block) for block in room][50:])
    voice = [block + np.float32(0.2) * np.sin(np.arange(320) / 5)[None] for block in room[:20]]
    assert all(is_speech(block.astype(np.float32)) for block in voice)


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
