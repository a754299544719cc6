"""The microphone, cut into turns of speech: by voice, or by a button that is held."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from .annotations import Sound
from .echo import Echo
from .recording import Told
from .samples import Blocks
from .takes import Recording, Utterance
from .types import Turn
from .vad import SPEECH_RATE, Energy, SpeechDetector, speech_detector

MAX_TURN = 60.0
"""Seconds of one turn; longer speech is cut there."""


class Answers(Protocol):
    """What answers turns, as far as the visitor's voice drives it; nothing here may block."""

    def hold(self) -> None:
        """Somebody seems to speak: the answer that plays falls silent."""

    def go_on(self) -> None:
        """It was no turn: what was held plays on, and the page is told what goes on."""

    def interrupt(self) -> None:
        """It is one: the answer that plays is over."""

    def give(self, take: Recording) -> None:
        """A turn has ended and is to be answered."""


class TurnDetector:
    """Cuts the microphone into turns, and gives each to the ``answers``.

    As soon as speech begins, the answer that plays is held; once that has lasted for the turn's
    ``minimum`` it is over, and after a cough it goes on. Frames come on the decoder's thread, where
    the first one has the detector of speech made; ``talk`` and ``expire`` are for the event loop.
    """

    ONSET = 0.06
    """Seconds of speech in a row, about, that begin a turn."""
    TAIL = 0.2
    """Seconds of the pause that stay at the turn's end."""
    LATE = 0.5
    """Seconds that packets may come late without being missed."""
    LINGER = 0.2
    """Seconds of sound that a turn goes on after the page's word that the button was let go: what
    was said at that moment comes later."""

    def __init__(
        self,
        turn: Turn,
        answers: Answers,
        told: Told,
        echo: Echo,
        detector: Callable[[], SpeechDetector] | None = None,
    ) -> None:
        self._turn = turn
        self._answers = answers
        self._told = told
        self._echo = echo
        self._make = detector or (Energy if turn.push_to_talk else speech_detector)
        self._lock = threading.Lock()
        self._heard = 0.0
        self._is_speech: SpeechDetector | None = None
        self._parts: list[NDArray[np.float32]] = []
        self._speech = 0
        self._silence = 0
        self._onset = 0
        self._cut = False
        self._speaking = False
        self._interrupted = False
        self._talk = False
        self._lingering = 0.0
        """Seconds that a held turn has yet to go on."""

    def talk(self, on: bool) -> None:
        """The button is held down, or let go: what is said meanwhile is one turn, with its pauses.

        It counts from the next frame on; the answer that plays is over at once.
        """
        self._talk = on
        if on:  # a tap between two blocks of sound is one, too: its end says what is next
            self._lingering = self.LINGER
        if on and self._turn.interrupt:
            self._answers.interrupt()

    def put(self, frame: av.AudioFrame) -> None:
        """Sound from the peer."""
        with self._lock:
            self._heard = time.monotonic()
            is_speech = self._is_speech or self._listen()
            for block, _ in self._blocks.add(frame):
                try:
                    speech = is_speech(block)
                except Exception as error:  # of onnxruntime, whatever it may be
                    self._told.on_warning(
                        "the detector of speech failed, loudness takes its place: "
                        f"{type(error).__name__}: {error}"
                    )
                    is_speech = self._is_speech = Energy(is_speech.block)
                    speech = is_speech(block)
                self._echo.hear(block)
                self._judge(block, speech and not self._echo.is_heard())

    def expire(self) -> float:
        """End a turn of which nothing more comes, not even silence: the microphone was taken away.
        A tap of the button is told of then, too.

        Returns the seconds until it is to be called again.
        """
        longest = self._turn.pause + self.LATE
        if not self._lock.acquire(blocking=False):
            return longest  # something comes just now
        try:
            left = self._heard + longest - time.monotonic()
            if left > 0:
                return left
            if self._speaking:
                self._finish()
            elif self._lingering > 0 and not self._talk:  # a tap that no sound came after
                self._lingering = 0.0
                self._answers.go_on()
            return longest
        finally:
            self._lock.release()

    def _listen(self) -> SpeechDetector:
        is_speech = self._is_speech = self._make()
        self._seconds = is_speech.block / SPEECH_RATE
        self._blocks = Blocks(Sound(seconds=self._seconds, rate=SPEECH_RATE, channels=1))
        self._enough = max(round(self.ONSET / self._seconds), 1)
        self._pause = max(round(self._turn.pause / self._seconds), 1)
        self._least = math.ceil(self._turn.minimum / self._seconds - 1e-6)
        before = round(self._turn.preroll / self._seconds) + self._enough
        self._before: deque[NDArray[np.float32]] = deque(maxlen=before)
        return is_speech

    def _judge(self, block: NDArray[np.float32], speech: bool) -> None:
        if self._talk:
            self._lingering = self.LINGER
        held = self._lingering > 0
        if not self._speaking:
            self._before.append(block)
            self._onset = self._onset + 1 if speech and not self._turn.push_to_talk else 0
            if held or self._onset >= self._enough:
                self._begin()
            return
        self._parts.append(block)
        # Who whispers into the button speaks, whatever a detector makes of it.
        self._speech += self._talk or (speech and not held)
        self._silence = 0 if speech or held else self._silence + 1
        too_long = len(self._parts) * self._seconds >= MAX_TURN
        if too_long:
            self._told.on_warning(f"the turn was cut at {MAX_TURN:g} seconds, the longest")
        if held and not self._talk:
            self._lingering -= self._seconds
            over = self._lingering <= 0
        else:
            over = self._silence >= self._pause
        if over or too_long:
            self._cut = too_long
            self._finish()
        else:
            self._settle()

    def _begin(self) -> None:
        self._speaking = True
        self._parts = list(self._before)
        self._before.clear()
        self._speech, self._silence, self._onset = self._onset, 0, 0
        self._told.on_state("speaking")
        # Whoever simply goes on interrupts nobody.
        self._interrupted = self._cut or not self._turn.interrupt
        if not self._interrupted:
            self._answers.hold()
            self._settle()

    def _settle(self) -> None:
        """Interrupt the answer as soon as this is sure to be a turn."""
        if not self._interrupted and self._is_enough:
            self._interrupted = True
            self._answers.interrupt()

    @property
    def _is_enough(self) -> bool:
        return self._speech >= self._least

    def _finish(self) -> None:
        self._speaking, self._lingering = False, 0.0
        parts, self._parts = self._parts, []
        parts = parts[: len(parts) - max(self._silence - round(self.TAIL / self._seconds), 0)]
        if self._is_enough:
            self._answers.give(Utterance(parts, SPEECH_RATE))
        else:
            self._answers.go_on()
