"""What is not there, such as an extra or weights: a sentence on the page, a line in the log."""

import logging
import sys
from typing import Any

import pytest

from rtcstream import Image, LoadingFailed, Progress, Stream, lifespan, testing
from rtcstream.examples import conversation, transcribe
from rtcstream.examples._models import extra
from tests.isolated import needs_weights
from tests.pictures import scene
from tests.waiting import until

WORDS = "It needs weights: pip install them"


class Model:
    def __init__(self) -> None:
        raise LoadingFailed(WORDS)

    def __call__(self, image: Image) -> Image:
        return image


def same(image: Image) -> Image:
    return image


def late(image: Image) -> Image:
    raise LoadingFailed(WORDS)


def load(progress: Progress) -> None:
    raise LoadingFailed(WORDS)


@pytest.mark.parametrize(
    "stream",
    [
        Stream(Model),
        Stream(late),
        Stream(same, lifespan=load),
        Stream(needs_weights, isolation="process"),
    ],
    ids=["constructor", "function", "lifespan", "process"],
)
async def test_it_is_said_in_its_own_words(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    """The page gets the sentence as it is, and nothing that is logged has a traceback."""
    async with testing.connect(stream) as peer:
        peer.send(scene())
        log = await peer.message("log", level="error")
    assert log["message"] == WORDS
    logged = [record for record in caplog.records if WORDS in record.getMessage()]
    assert logged and not any(record.exc_info for record in caplog.records)
    assert all("\n" not in record.getMessage() for record in logged)


@pytest.mark.parametrize(
    ("kind", "line"),
    [(LoadingFailed, WORDS), (ValueError, "often() failed")],
    ids=["told", "raised"],
)
async def test_what_is_tried_again_is_said_once(
    kind: type[Exception],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A lifespan that fails with the same words again and again has one line in the log."""
    monkeypatch.setattr(lifespan, "AGAIN", 0.01)
    tries: list[int] = []

    def often() -> None:
        tries.append(1)
        raise kind(WORDS)

    with caplog.at_level(logging.ERROR):
        sessions = Stream(same, lifespan=often).sessions()
        async with testing.connect(sessions):
            await until(lambda: len(tries) > 3)
        await sessions.end_all("the server stopped")
    said = [each.getMessage() for each in caplog.records if each.name == "rtcstream"]
    assert said == [line], "and one more of each session that waits for it"


@pytest.mark.parametrize(
    ("example", "package", "words"),
    [
        (transcribe, "pocketsphinx", f"pocketsphinx: {extra('speech')}"),
        (conversation, "moonshine_voice", f"moonshine-voice: {extra('conversation')}"),
    ],
    ids=["transcribe", "conversation"],
)
async def test_examples_say_what_to_install(
    example: Any,
    package: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As soon as a session begins, before anything is said to it, and without a traceback."""
    monkeypatch.setitem(sys.modules, package, None)
    conversation.recognizer.cache_clear()
    async with testing.connect(example.stream) as peer:
        log = await peer.message("log", level="error")
    assert log["message"] == f"This example needs {words}"
    assert not any(record.exc_info for record in caplog.records)


async def test_a_conversation_without_a_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """That espeak-ng is missing is said before anybody speaks."""
    monkeypatch.setattr(conversation, "recognizer", lambda: lambda speech: "")
    monkeypatch.setenv("PATH", "")
    async with testing.connect(conversation.stream) as peer:
        log = await peer.message("log", level="error")
    assert log["message"] == "This example needs espeak-ng: apt-get install espeak-ng"
