"""Speech told from everything else: two detectors, and the turns that they cut."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rtcstream import Turn, Utterance, vad
from rtcstream.echo import Echo
from rtcstream.turns import TurnDetector
from rtcstream.vad import SPEECH_RATE, Energy, Silero, SpeechDetector, speech_detector
from tests.hearing import RATE, read, speak

Mono = NDArray[np.float32]
FRAME = RATE // 50
SAID = ("Good morning everybody.", "It is a fine day to talk about the weather.")
PAUSE = 2.0
"""Seconds of silence before, between and after the sentences."""


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> list[Mono]:
    """Two sentences, from the first sound to the last."""
    folder = tmp_path_factory.mktemp("speech")
    return [trimmed(read(speak(folder / f"{i}.wav", text))) for i, text in enumerate(SAID)]


@pytest.fixture
def unloaded() -> Iterator[None]:
    """As in a process that has not looked for the model."""
    vad._model.cache_clear()
    yield
    vad._model.cache_clear()


def trimmed(sound: Mono) -> Mono:
    first, last = np.flatnonzero(np.abs(sound) > 0.02)[[0, -1]]
    return sound[first:last]


def conversation(sentences: list[Mono]) -> tuple[Mono, list[float]]:
    """Both sentences with pauses, and the seconds at which they begin."""
    pause = np.zeros(round(PAUSE * RATE), np.float32)
    first, second = sentences
    starts = [PAUSE, 2 * PAUSE + len(first) / RATE]
    return np.concatenate([pause, first, pause, second, pause]), starts


def white(count: int) -> Mono:
    return np.random.default_rng(7).normal(0, 1, count).astype(np.float32)


def pink(count: int) -> Mono:
    """Noise whose power falls with the frequency, like that of streets and fans."""
    spectrum = np.fft.rfft(np.random.default_rng(7).normal(0, 1, count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / noise.std(), np.float32)


def chord(count: int) -> Mono:
    """Four tones of an organ."""
    at = np.arange(count) / RATE
    tones = [np.sin(2 * np.pi * hz * at + hz) for hz in (220, 277, 330, 440)]
    return np.asarray(np.sum(tones, axis=0) / np.sqrt(2), np.float32)


def mixed(sound: Mono, noise: Callable[[int], Mono]) -> Mono:
    """The sound in a noise that is as loud (0 dB)."""
    loudness = np.sqrt(np.mean(np.square(sound[np.abs(sound) > 0.001])))
    whole = sound + loudness * noise(len(sound))
    return np.asarray(whole / np.abs(whole).max(), np.float32)


class Heard:
    """Notes the turns of a sound, and when in it they began and interrupted, in seconds."""

    def __init__(
        self, sound: Mono, detector: Callable[[], SpeechDetector], sent: Mono | None = None
    ) -> None:
        self.turns: list[Utterance] = []
        self.began: list[float] = []
        self.interrupted: list[float] = []
        self.gone_on = 0
        self.warnings: list[str] = []
        self._now = 0.0
        self.held: list[float] = []
        echo = Echo()
        turns = TurnDetector(Turn(), self, self, echo, detector)
        for start in range(0, len(sound) - FRAME, FRAME):
            self._now = (start + FRAME) / RATE
            if sent is not None:
                echo.sent(stereo(sent[start : start + FRAME]))
            turns.put(frame(sound, start))

    def hold(self) -> None:
        self.held.append(self._now)

    def go_on(self) -> None:
        self.gone_on += 1

    def interrupt(self) -> None:
        self.interrupted.append(self._now)

    def give(self, take: Any) -> None:
        self.turns.append(take)

    def on_state(self, value: str) -> None:
        if value == "speaking":
            self.began.append(self._now)

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)

    def progress(self, value: float, text: str = "") -> None:
        pass


def stereo(sound: Mono) -> NDArray[np.int16]:
    both = np.stack([sound, sound], axis=1)
    return np.asarray(np.rint(both * 32_767), np.int16)


def frame(sound: Mono, start: int) -> av.AudioFrame:
    part = np.rint(sound[start : start + FRAME] * 32_767).astype(np.int16)
    found = av.AudioFrame.from_ndarray(part[None], "s16", "mono")
    found.sample_rate, found.pts = RATE, start
    return found


@pytest.mark.parametrize("detector", [Energy, speech_detector])
def test_two_sentences_are_two_turns(
    sentences: list[Mono], detector: Callable[[], SpeechDetector]
) -> None:
    """In a quiet room each detector cuts each sentence into a turn of its own, whole."""
    sound, starts = conversation(sentences)
    heard = Heard(sound, detector)
    assert heard.began == pytest.approx(starts, abs=0.2)
    for turn, sentence in zip(heard.turns, sentences, strict=True):
        assert turn.seconds == pytest.approx(len(sentence) / RATE + 0.5, abs=0.25)


@pytest.mark.parametrize("noise", [white, pink, chord])
def test_silero_hears_turns_in_noise(sentences: list[Mono], noise: Callable[[int], Mono]) -> None:
    """In steady noise as loud as the voice Silero finds both turns."""
    sound, starts = conversation(sentences)
    loud = mixed(sound, noise)
    heard = Heard(loud, speech_detector)
    assert len(heard.turns) == 2
    assert heard.began == pytest.approx(starts, abs=0.25)


@pytest.mark.parametrize("make", [white, chord])
def test_noise_is_no_turn(make: Callable[[int], Mono]) -> None:
    """A burst of noise is nothing for either detector, and one of music nothing for Silero."""
    sound = np.zeros(5 * RATE, np.float32)
    sound[2 * RATE : 3 * RATE] = 0.2 * make(RATE)
    assert not Heard(sound, speech_detector).began
    assert len(Heard(sound, Energy).turns) == (make is chord)


@pytest.mark.parametrize("detector", [Energy, speech_detector])
def test_speech_interrupts_at_once(
    sentences: list[Mono], detector: Callable[[], SpeechDetector]
) -> None:
    """Each onset silences within four blocks, 80 ms by loudness and 128 by Silero; once it is sure
    to be a turn it interrupts."""
    sound, starts = conversation(sentences)
    heard = Heard(sound, detector)
    delays = np.subtract(heard.held, starts)
    within = 4 * detector().block / SPEECH_RATE + FRAME / RATE
    assert len(delays) == 2 and delays.min() > 0 and delays.max() <= within, delays
    sure = np.subtract(heard.interrupted, heard.held)
    assert sure == pytest.approx([Turn().minimum - TurnDetector.ONSET] * 2, abs=0.1)
    assert not heard.gone_on


def test_a_cough_lets_the_answer_go_on() -> None:
    """What is too short for a turn silences the answer only until the pause after it is over."""
    sound = np.zeros(3 * RATE, np.float32)
    sound[RATE : RATE + RATE // 8] = 0.2 * chord(RATE // 8)
    heard = Heard(sound, Energy)
    assert len(heard.held) == 1 and heard.gone_on == 1
    assert not heard.interrupted and not heard.turns


@pytest.mark.parametrize("package", ["onnxruntime", *vad.PACKAGES])
def test_without_the_extra_loudness_decides(
    unloaded: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    package: str,
) -> None:
    """Where a package of the extra is missing loudness decides, and the log says what to do."""
    missing = vad.PACKAGES if package in vad.PACKAGES else (package,)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.INFO, "rtcstream.vad"):
        assert isinstance(speech_detector(), Energy)
        assert isinstance(speech_detector(), Energy)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "rtcstream[vad]" in caplog.text


def test_a_model_that_cannot_be_loaded_is_said(
    unloaded: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A model that is not what it should be is one warning, and loudness is used."""
    monkeypatch.setattr(vad, "MODEL", Path("__init__.py"))
    assert isinstance(speech_detector(), Energy)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot be loaded" in caplog.text


def test_the_model_is_loaded_once(unloaded: None, caplog: pytest.LogCaptureFixture) -> None:
    """Microphones that begin at the same moment share one network, which the log names once."""
    found: list[SpeechDetector] = []
    with caplog.at_level(logging.INFO, "rtcstream.vad"):
        threads = [
            threading.Thread(target=lambda: found.append(speech_detector())) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(isinstance(each, Silero) for each in found)
    assert len({id(each._model) for each in found if isinstance(each, Silero)}) == 1
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "Silero" in caplog.text


def test_microphones_do_not_hear_each_other(sentences: list[Mono]) -> None:
    """What the network remembers of one microphone has no part in what it makes of another."""
    sound = conversation(sentences)[0][::3]
    blocks = [sound[None, at : at + 512] for at in range(0, len(sound) - 512, 512)]
    alone, one, other = speech_detector(), speech_detector(), speech_detector()
    expected = [alone(block) for block in blocks]
    found = []
    for block in blocks:
        found.append(one(block))
        other(np.asarray(0.1 * white(512)[None], np.float32))
    assert found == expected


def test_a_detector_that_raises_is_replaced(sentences: list[Mono]) -> None:
    """A detector that fails is replaced by loudness, with one warning, and the turns go on."""

    class Broken:
        block = 512
        left = 20

        def __call__(self, block: NDArray[np.float32]) -> bool:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("out of memory")
            return False

    heard = Heard(conversation(sentences)[0], Broken)
    assert len(heard.turns) == 2
    [warning] = heard.warnings
    assert "RuntimeError: out of memory" in warning and "loudness" in warning


def test_energy_tells_speech_from_a_noisy_room() -> None:
    """A steady noise is silence once it is known, and a voice well above it is speech."""
    rng = np.random.default_rng(0)
    is_speech = Energy()
    room = [rng.normal(0, 0.005, (1, 320)).astype(np.float32) for _ in range(200)]
    assert not any([is_speech(block) for block in room][50:])
    voice = [block + np.float32(0.2) * np.sin(np.arange(320) / 5)[None] for block in room[:20]]
    assert all(is_speech(block.astype(np.float32)) for block in voice)


def test_a_turn_ends_though_nothing_more_comes(sentences: list[Mono]) -> None:
    """A turn whose sound stops coming ends when that is too late, and not a moment before."""
    told = Heard(np.zeros(0, np.float32), Energy)
    turns = told.turns
    detector = TurnDetector(Turn(pause=0.3), told, told, Echo(), Energy)
    now = 100.0
    longest = detector._turn.pause + detector.LATE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        assert detector.expire() == longest  # before any sound
        for start in range(0, len(sentences[1]) - FRAME, FRAME):
            detector.put(frame(sentences[1], start))
        now += longest - 0.1
        assert detector.expire() == pytest.approx(0.1)
        assert not turns
        now += 0.1
        assert detector.expire() == longest
        assert turns[0].seconds == pytest.approx(len(sentences[1]) / RATE, abs=0.2)
        now += longest
        assert detector.expire() == longest
    assert len(turns) == 1 and told.began == [0.0]


def test_the_timer_does_not_wait_for_a_detector(sentences: list[Mono]) -> None:
    """While a model is being loaded, `expire`, which the event loop calls, returns at once."""
    loading, loaded = threading.Event(), threading.Event()

    def slow() -> SpeechDetector:
        loading.set()
        loaded.wait(10)
        return Energy()

    told = Heard(np.zeros(0, np.float32), Energy)
    detector = TurnDetector(Turn(), told, told, Echo(), slow)
    thread = threading.Thread(target=detector.put, args=(frame(sentences[0], 0),))
    thread.start()
    assert loading.wait(10)
    assert detector.expire() == detector._turn.pause + detector.LATE
    loaded.set()
    thread.join()
