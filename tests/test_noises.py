"""What is no speech, in a room where somebody might speak; and short words, in the same room."""

from collections.abc import Callable

import numpy as np
import pytest

from rtcstream.vad import Energy, SpeechDetector, speech_detector
from tests import noises
from tests.hearing import RATE, Mono, read, speak
from tests.test_vad import Heard, pink, trimmed

BEGINS = 2.0
"""Seconds after which it sounds."""
DETECTORS = [Energy, speech_detector]
WORDS = ("yes", "no", "stop", "what", "six", "wait", "please go on", "she sells sea shells")


def room(sound: Mono) -> Mono:
    """With a second and a half behind it, in noise of -62 dB."""
    whole = 10 ** (-62 / 20) * pink(len(sound) + round((BEGINS + 1.5) * RATE))
    whole[round(BEGINS * RATE) :][: len(sound)] += sound
    return whole


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize(
    ("make", "decibels"),
    [
        (noises.claps, -18),
        (noises.door, -20),
        (noises.keys, -35),
        (noises.keys, -25),
        (noises.breath, -38),
        (noises.fan, -45),
        (noises.fan, -35),
    ],
)
def test_a_noise_does_not_silence_an_answer(
    detector: Callable[[], SpeechDetector], make: Callable[[], noises.Sound], decibels: float
) -> None:
    """What is as loud as a voice and has no pitch is nothing to either detector."""
    assert not Heard(room(noises.at_level(make(), decibels)), detector).held


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_cough_ends_no_answer(detector: Callable[[], SpeechDetector]) -> None:
    """A cough may silence an answer, but that goes on: it is too short for a turn."""
    heard = Heard(room(noises.at_level(noises.cough(), -15)), detector)
    assert not heard.interrupted and heard.gone_on == len(heard.held)


@pytest.mark.parametrize("decibels", [-35, -22])
def test_music_is_no_speech(decibels: float) -> None:
    """Music in the background is nothing to Silero; the other detector takes it for a voice."""
    heard = room(noises.at_level(noises.music(), decibels))
    assert not Heard(heard, speech_detector).held
    assert Heard(heard, Energy).held


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[Mono]:
    folder = tmp_path_factory.mktemp("speech")
    return [trimmed(read(speak(folder / f"{i}.wav", word))) for i, word in enumerate(WORDS)]


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_word_is_a_turn(words: list[Mono], detector: Callable[[], SpeechDetector]) -> None:
    """A single word is a turn, and silences an answer within 0.22 s, whatever consonant it begins
    with: of the 0.3 s until the page is silent the rest is left for the way there."""
    delays = []
    for word in words:
        heard = Heard(room(noises.at_level(word.astype(np.float64), -22)), detector)
        assert len(heard.turns) == 1
        delays.append(1000 * (heard.held[0] - BEGINS))
    print(f"held after {np.round(delays)} ms")
    assert np.median(delays) <= 140 and max(delays) <= 225


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_low_voice_is_heard(words: list[Mono], detector: Callable[[], SpeechDetector]) -> None:
    """A sentence at -45 dB of full scale is a turn, in a room 17 dB below it."""
    heard = Heard(room(noises.at_level(words[-1].astype(np.float64), -45)), detector)
    assert len(heard.turns) == 1
    assert heard.turns[0].seconds == pytest.approx(len(words[-1]) / RATE + 0.4, abs=0.3)
