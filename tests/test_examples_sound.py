"""The examples that listen, with speech that was spoken to a file."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from rtcstream import testing
from rtcstream.examples import echo_bot, keep_repeating_video, transcribe
from rtcstream.testing import TestPeer
from rtcstream.vad import Energy
from tests.hearing import RATE, pitch, read, speak
from tests.pictures import scene


async def listen(
    peer: TestPeer, samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    """Let a stream hear sound at the pace of a microphone."""
    for start in range(0, len(samples), 960):
        peer.send_sound(samples[start : start + 960])
        await asyncio.sleep(0.018)


async def test_transcribe_writes_what_it_hears(tmp_path: Path) -> None:
    """Speech becomes text while it is spoken, more of it as it goes on."""
    speech = read(speak(tmp_path / "speech.wav", "open the window please"))
    async with testing.connect(transcribe.stream, timeout=30) as peer:
        await peer.message("state", value="loading")
        peer.send_sound(np.zeros(RATE // 5, np.float32))  # a block of it begins the first call
        await peer.message("state", value="running")
        await listen(peer, np.concatenate([np.zeros(RATE // 2), speech, np.zeros(RATE)]))
        texts = [m["data"] for m in peer.messages if m["type"] == "result"]
        assert not [m for m in peer.messages if m["type"] == "log"]
    assert texts and len(texts[-1].split()) >= 2
    assert len(texts[-1]) >= len(texts[0])


async def test_echo_bot_answers_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said comes back after the pause, slower and so lower, and says how long it was."""
    monkeypatch.setattr("rtcstream.turns.speech_detector", Energy)  # a tone is no speech
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    async with testing.connect(echo_bot.stream, timeout=20) as peer:
        await peer.message("state", value="listening")
        await listen(peer, np.concatenate([tone, np.zeros(RATE)]).astype(np.float32))
        assert "You spoke for" in await peer.result()
        peer.sound.clear()
        heard = await peer.hear(0.8)
    loud = heard[0][np.abs(heard[0]) > 0.01]
    assert len(loud) > RATE // 4
    assert pitch(heard[0][: RATE // 2]) == pytest.approx(500 * 0.85, rel=0.03)


async def test_video_is_repeated() -> None:
    """A take of camera and microphone is seen and heard again, twice as often when asked."""
    async with testing.connect(
        keep_repeating_video.stream, controls={"times": 2}, timeout=20
    ) as peer:
        peer.send_text('{"type":"record","on":true}')
        await peer.message("state", value="recording")
        for _ in range(20):
            peer.send(scene())
            await listen(peer, np.full(1920, 0.1, np.float32))
        await peer.set()
        peer.send_text('{"type":"record","on":false}')
        await peer.message("state", value="thinking")
        await peer.message("state", value="finished")
        assert len(peer.pictures) > 10
        assert not [m for m in peer.messages if m["type"] == "log"]
