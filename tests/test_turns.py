"""Turns of speech: by a button that is held, and answers that a cough does not end."""

import threading
import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import pytest

from rtcstream import Samples, Stream, Turn, Utterance, testing
from rtcstream.testing import TestPeer
from tests.microphone import RATE, speak, whistle
from tests.waiting import until


async def hold(peer: TestPeer, on: bool) -> None:
    peer.send_text(f'{{"type":"turn","on":{str(on).lower()}}}')
    await peer.set()  # it has arrived


async def test_a_tap_between_two_blocks_of_sound(by_loudness: None) -> None:
    """A button that is let go before any sound has come is told of as a turn that was none, so that
    the page knows what is next."""

    def length(speech: Annotated[Utterance, Turn(push_to_talk=True)]) -> float:
        return speech.seconds

    async with testing.connect(Stream(length)) as peer:
        await peer.message("state", value="listening")
        await speak(peer, np.zeros(RATE // 10))
        await hold(peer, True)
        await hold(peer, False)
        await speak(peer, np.zeros(RATE // 2))
        await peer.message("state", value="speaking")
        await peer.message("state", value="listening")
        assert not [m for m in peer.messages if m["type"] == "result"]


async def say(peer: TestPeer, seconds: float) -> None:
    """A whistle while the button is held."""
    await hold(peer, True)
    await speak(peer, whistle(seconds))
    await hold(peer, False)
    await speak(peer, np.zeros(RATE // 2))


async def test_a_tap_without_any_sound() -> None:
    """A button that is let go while nothing comes from the microphone has ended the answer, which
    the page is told of."""

    def answer(speech: Annotated[Utterance, Turn(push_to_talk=True)]) -> Iterator[Samples]:
        while True:
            yield whistle(0.1)

    async with testing.connect(Stream(answer)) as peer:
        await peer.message("state", value="listening")
        await say(peer, 0.4)
        await peer.message("state", value="thinking")
        peer.messages.clear()
        await hold(peer, True)
        await hold(peer, False)
        await peer.message("state", value="listening")


async def test_a_turn_is_answered_though_the_button_is_tapped_after_it() -> None:
    """What was said while an answer took its time to end is answered, also if the button is tapped
    once more meanwhile."""
    ends = threading.Event()

    def answer(speech: Annotated[Utterance, Turn(push_to_talk=True)]) -> Iterator[float]:
        try:
            while True:
                yield speech.seconds
                time.sleep(0.01)
        finally:
            ends.wait(10)

    async with testing.connect(Stream(answer)) as peer:
        await peer.message("state", value="listening")
        await say(peer, 0.4)
        first = await peer.result()
        try:
            await say(peer, 1.0)
            await hold(peer, True)
            await hold(peer, False)
        finally:
            ends.set()
        await until(
            lambda: [m for m in peer.messages if m["type"] == "result" and m["data"] > first + 0.3]
        )


@pytest.mark.parametrize("push_to_talk", [True, False])
async def test_what_is_said_while_the_button_is_held_is_one_turn(
    by_loudness: None, push_to_talk: bool
) -> None:
    """Pauses end no turn while the button is held, letting go does at once; with push to talk
    nothing else is a turn, and a short tap is none either."""
    pause = 0.6 if push_to_talk else 5.0

    def length(
        speech: Annotated[Utterance, Turn(pause=pause, push_to_talk=push_to_talk)],
    ) -> float:
        return speech.seconds

    async with testing.connect(Stream(length)) as peer:
        await peer.message("state", value="listening")
        if push_to_talk:
            await speak(peer, whistle(0.3))
        await speak(peer, np.zeros(RATE // 2))
        for tapped in (True, False):
            await hold(peer, tapped)
            await speak(peer, np.zeros(RATE // 20))
        await speak(peer, np.zeros(RATE // 2))
        await hold(peer, True)
        parts = [
            whistle(0.3),
            np.zeros(RATE * 7 // 10 if push_to_talk else RATE // 5),
            whistle(0.3),
        ]
        await speak(peer, np.concatenate(parts))
        await hold(peer, False)
        await speak(peer, np.zeros(RATE // 2))
        said = sum(map(len, parts)) / RATE
        assert await peer.result() == pytest.approx(said + 0.3 + 0.2, abs=0.25)
        assert not [m for m in peer.messages if m["type"] == "result"]


async def test_the_button_silences_the_answer() -> None:
    """Who presses the button hears no more of the answer, before a word is said."""
    closed: list[bool] = []

    def answer(speech: Annotated[Utterance, Turn(push_to_talk=True)]) -> Iterator[Samples]:
        try:
            while True:
                yield whistle(0.1)
        finally:
            closed.append(True)

    async with testing.connect(Stream(answer)) as peer:
        await hold(peer, True)
        await speak(peer, whistle(0.3))
        await hold(peer, False)
        await speak(peer, np.zeros(RATE // 2))
        await peer.message("state", value="thinking")
        peer.sound.clear()
        assert np.abs(await peer.hear(0.3)).max() > 0.4
        await hold(peer, True)
        await until(lambda: closed)
        peer.sound.clear()
        assert np.abs((await peer.hear(0.3))[:, RATE // 10 :]).max() < 0.01


async def test_a_cough_does_not_end_the_answer(by_loudness: None) -> None:
    """A short noise silences the answer at once, and lets it go on where it was; the page is told
    both, and the generator sees nothing of it."""
    ended: list[bool] = []

    def answer(speech: Annotated[Utterance, Turn(pause=0.2)]) -> Iterator[tuple[Samples, int]]:
        try:
            for number in range(1000):
                yield whistle(0.1), number
        finally:
            ended.append(True)

    async with testing.connect(Stream(answer)) as peer:
        await speak(peer, np.concatenate([whistle(0.4), np.zeros(RATE // 2)]))
        await peer.message("state", value="thinking")
        await peer.result()
        await speak(peer, whistle(0.1, hz=600))  # a cough, and no echo
        await peer.message("state", value="speaking")
        peer.sound.clear()
        assert np.abs((await peer.hear(0.15))[:, RATE // 20 :]).max() < 0.05
        await speak(peer, np.zeros(RATE // 2))
        await peer.message("state", value="thinking")
        peer.sound.clear()
        assert np.abs((await peer.hear(0.2))[:, RATE // 20 :]).max() > 0.4
        told = [m["data"] for m in peer.messages if m["type"] == "result"]
        assert told == list(range(1, len(told) + 1))
        assert not ended


async def test_a_stream_without_turns_says_so() -> None:
    """The button's word means nothing to a stream that takes no turns, which is said."""

    def count() -> Iterator[int]:
        yield 1

    async with testing.connect(Stream(count)) as peer:
        peer.send_text('{"type":"turn","on":true}')
        assert "takes no Utterance" in (await peer.message("error"))["message"]
