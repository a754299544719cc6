"""The answer out of a loudspeaker, in the microphone: no turn, and no bar to one."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rtcstream import Samples, Stream, Utterance, testing
from rtcstream.vad import Energy, SpeechDetector, speech_detector
from tests.hearing import RATE, read, speak
from tests.microphone import FRAME
from tests.microphone import speak as send
from tests.test_vad import Heard, Mono, pink, trimmed

BEGINS = 2.0
"""Seconds after which somebody speaks."""
DETECTORS = [Energy, speech_detector]


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Mono]:
    """What is answered, and what is said."""
    folder = tmp_path_factory.mktemp("speech")
    texts = {
        "answer": "Once upon a time there was a balloon that was afraid of heights. Every morning "
        "it looked at the sky, and every morning it stayed on the grass.",
        "said": "no wait, tell me another one",
    }
    return {name: trimmed(read(speak(folder / f"{name}.wav", texts[name]))) for name in texts}


def at(sound: Mono, seconds: float, length: int) -> Mono:
    """Nothing but this sound, which begins after so many seconds, in noise of -65 dB."""
    whole = 10 ** (-65 / 20) * pink(length)
    begin = round(seconds * RATE)
    whole[begin : begin + len(sound)] += sound[: length - begin]
    return whole


def echo(sound: Mono, decibels: float, delay: float) -> Mono:
    """What a room makes of it, whose sound falls by 60 dB in half a second, half of it direct."""
    times = np.arange(RATE // 2) / RATE
    room = np.random.default_rng(3).normal(0, 1, len(times)) * 10 ** (-3 * times / 0.5)
    room[: RATE // 500] = 0
    room /= np.sqrt(np.sum(room**2))
    room[0] = 1
    size = 1 << (len(sound) + len(room)).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(room, size))[: len(sound)]
    gain = 10 ** (decibels / 20) * np.sqrt(np.mean(sound**2) / np.mean(heard**2))
    late = np.zeros(round(delay * RATE))
    return np.asarray(np.concatenate([late, gain * heard])[: len(sound)], np.float32)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize(("decibels", "delay"), [(-20, 0.1), (-20, 0.25), (-30, 0.25)])
def test_an_answer_does_not_interrupt_itself(
    voices: dict[str, Mono],
    detector: Callable[[], SpeechDetector],
    decibels: float,
    delay: float,
) -> None:
    """An echo 20 or 30 dB below the answer would be a turn, but for that it is known to be one."""
    answer = voices["answer"]
    back = at(echo(answer, decibels, delay), 0.0, len(answer))
    assert Heard(back, detector).interrupted
    heard = Heard(back, detector, sent=answer)
    assert not heard.interrupted and not heard.turns
    assert len(heard.held) <= 1


@pytest.mark.parametrize("detector", DETECTORS)
def test_with_headphones_nothing_changes(
    voices: dict[str, Mono], detector: Callable[[], SpeechDetector]
) -> None:
    """Whoever speaks into an answer that the microphone does not hear is heard as soon as in
    silence; into one that it does, within a fifth of a second of that."""
    answer, said = voices["answer"], voices["said"]
    alone = at(0.3 * said, BEGINS, len(answer))
    silent, over = Heard(alone, detector), Heard(alone, detector, sent=answer)
    assert over.held == silent.held and over.interrupted == silent.interrupted
    assert [turn.seconds for turn in over.turns] == [turn.seconds for turn in silent.turns]
    both = Heard(alone + echo(answer, -20, 0.2), detector, sent=answer)
    assert both.interrupted[0] == pytest.approx(silent.interrupted[0], abs=0.2)


async def test_a_loudspeaker_beside_the_microphone(voices: dict[str, Mono]) -> None:
    """A program whose answer comes back to it from the page answers once, and to the end."""
    answer, turns = voices["answer"][: 3 * RATE], []

    def tell(speech: Utterance) -> Iterator[Samples]:
        turns.append(speech.seconds)
        yield answer

    async with testing.connect(Stream(tell)) as peer:
        await send(peer, at(0.5 * voices["said"], 0.2, len(voices["said"]) + RATE))
        await peer.message("state", value="thinking")
        peer.sound.clear()
        loudest = 0.0
        for _ in range(len(answer) // FRAME + 10):
            part = (await peer.hear(FRAME / RATE))[0]
            loudest = max(loudest, float(np.abs(part).max()))
            peer.send_sound(0.1 * part)
        await peer.message("state", value="listening")
        assert loudest > 0.1 and len(turns) == 1
        assert [m["value"] for m in peer.messages if m["type"] == "state"].count("speaking") == 1
