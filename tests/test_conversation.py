"""The example `conversation`: words of what was said, answers sentence by sentence, interrupted."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from rtcstream import Said, Session, testing
from rtcstream.examples import conversation
from rtcstream.testing import TestPeer
from tests.hearing import RATE, read, speak

pytest.importorskip("moonshine_voice", reason="the extra `conversation` is not installed")


async def said(*parts: str) -> AsyncGenerator[str, None]:
    for part in parts:
        yield part


async def test_sentences_are_told_apart_as_they_are_written() -> None:
    """A sentence is whole when the next one begins, wherever the parts of it were cut."""
    parts = said("One", ". Two is 2.5", " long! An", "d three\n", "\nlast one")
    whole = [each async for each in conversation.sentences(parts)]
    assert whole == ["One.", "Two is 2.5 long!", "And three", "last one"]


def test_only_what_was_heard_was_said() -> None:
    """Of an interrupted answer the sentences stay that were heard, and the words of the last."""
    spoken, lengths = ["One two.", "Three four five six.", "Seven."], [1.0, 2.0, 1.0]
    assert conversation.heard(spoken, lengths, 0.0) == ""
    assert conversation.heard(spoken, lengths, 2.1) == "One two. Three four …"
    assert conversation.heard(spoken, lengths, 3.95) == "One two. Three four five six. Seven."


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Two turns, each with the pause that ends it."""
    folder = tmp_path_factory.mktemp("speech")
    texts = {"story": "tell me a story", "time": "what is the time"}
    found = {}
    for name, text in texts.items():
        sound = read(speak(folder / f"{name}.wav", text))
        first, last = np.flatnonzero(np.abs(sound) > 0.02)[[0, -1]]
        found[name] = np.concatenate([sound[first:last], np.zeros(RATE)])
    return found


async def hear(peer: TestPeer, samples: np.ndarray) -> None:
    """Let it hear sound at the pace of a microphone."""
    for start in range(0, len(samples), 960):
        peer.send_sound(samples[start : start + 960])
        await asyncio.sleep(0.019)


def shown(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["who"], each["text"]) for each in message["data"]]


async def test_a_conversation_is_interrupted(
    voice: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each turn becomes words, and its answer is heard and shown sentence by sentence, the first
    before the next is written; of an interrupted one only what was heard stays."""
    written = asyncio.Event()
    sentence = "Once upon a time there was a balloon that was afraid of heights."

    async def story(history: list[Said], session: Session) -> AsyncGenerator[str, None]:
        yield sentence + " "
        await written.wait()
        yield "The end."

    monkeypatch.setattr(conversation, "write", story)
    with caplog.at_level(logging.INFO, conversation.__name__):
        async with testing.connect(conversation.stream, timeout=30) as peer:
            await peer.message("state", value="listening")
            await hear(peer, voice["story"])
            first = shown(await peer.message("result"))
            assert [who for who, _ in first] == ["you"] and "story" in first[0][1].lower()
            assert shown(await peer.message("result"))[1:] == [("computer", sentence)]
            peer.sound.clear()
            assert np.abs(await peer.hear(0.5)).max() > 0.05
            monkeypatch.undo()
            await hear(peer, voice["time"])
            again = shown(await peer.message("result", run=2))
            assert [who for who, _ in again] == ["you", "computer", "you"]
            assert "time" in again[2][1].lower()
            assert again[1][1].endswith(" …") and sentence.startswith(again[1][1].strip(" …"))
            assert shown(await peer.message("result", run=2))[-1][1].startswith("It is ")
            await peer.message("state", value="listening")
        assert not [m for m in peer.messages if m["type"] == "log"]
    assert len([r for r in caplog.records if "after the turn" in r.message]) == 2
