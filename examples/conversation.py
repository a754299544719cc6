"""Talk with a program: it answers aloud, sentence by sentence, and you may interrupt it.

Everything runs on the server, without any service. It needs the extra ``conversation`` and
espeak-ng: pip install 'rtcstream[conversation]'; apt-get install espeak-ng. Answers come from
``reply`` below, or from a server with OpenAI's interface, such as Ollama or llama.cpp:
python -m rtcstream conversation -- --url http://localhost:11434/v1 --model llama3.2
A key, if it wants one, is taken from the environment: OPENAI_API_KEY.
"""

import argparse
import asyncio
import functools
import logging
import re
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import numpy as np

from rtcstream import LoadingFailed, Said, Samples, Session, Stream, Utterance
from rtcstream.examples._completions import NoAnswer, ask
from rtcstream.examples._models import extra

logger = logging.getLogger(__name__)

MOST = 40
"""What was said last; of more neither the page nor the answering model is told."""
TIMES = "after the turn: its words at %.0f ms, a sentence of the answer at %.0f, its sound at %.0f"
NO_VOICE = "This example needs espeak-ng: apt-get install espeak-ng"
NEARLY = 0.1
"""Seconds: so much of a sentence need not have been heard to the end."""
PROMPT = "You are on the phone: answer in one to three short spoken sentences, without lists."


def reply(history: list[Said]) -> Iterator[str]:
    """The answer, in parts as it is written: put yours here."""
    words = history[-1].text.lower()
    if "time" in words:
        yield f"It is {time.strftime('%H:%M')}."
    elif "story" in words:
        yield "Once upon a time there was a balloon that was afraid of heights. "
        yield "Every morning it looked at the sky, and every morning it stayed on the grass. "
        yield "One day the wind came and said: hold my hand. And so they went."
    else:
        yield f"You said: {history[-1].text} "
        yield "Ask me for the time, or for a story, and interrupt me whenever you like."


@functools.cache
def recognizer() -> Callable[[Utterance], str]:
    """What makes text of a turn: Moonshine, whose English model comes in its package."""
    try:
        from moonshine_voice import ModelArch, Transcriber, get_model_path
    except ImportError:
        raise LoadingFailed(
            f"This example needs moonshine-voice: {extra('conversation')}"
        ) from None
    model: Any = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY)
    alone = threading.Lock()

    def recognize(speech: Utterance) -> str:
        with alone:
            found = model.transcribe_without_streaming(speech.samples[0].tolist(), speech.rate)
        return " ".join(line.text.strip() for line in found.lines).strip()

    return recognize


def speak(text: str) -> tuple[int, Samples]:
    """A sentence as sound, by espeak-ng: the rate, and 16-bit samples."""
    try:
        command = ["espeak-ng", "--stdin", "--stdout", "-s", "165"]
        made = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise LoadingFailed(NO_VOICE) from None
    return int.from_bytes(made[24:28], "little"), np.frombuffer(made[44:], "<i2")


async def off_the_loop(parts: Iterator[str]) -> AsyncGenerator[str, None]:
    """What a plain generator yields, which may take its time."""
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


async def as_far_as_it_comes(
    parts: AsyncGenerator[str, None], session: Session
) -> AsyncGenerator[str, None]:
    """The parts of a model's answer; the page is told why there are no more."""
    async with aclosing(parts):
        try:
            async for part in parts:
                yield part
        except NoAnswer as error:
            session.error(f"The model's server {error}.")


async def sentences(parts: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """What is written, whole sentence by whole sentence."""
    text = ""
    async with aclosing(parts):
        async for part in parts:
            *whole, text = re.split(r"(?<=[.!?:;…])\s+|\n+", text + part)
            for sentence in filter(str.strip, whole):
                yield sentence
    if text.strip():
        yield text


class Conversation:
    """Talk with a program: it answers aloud, sentence by sentence, and you may interrupt it."""

    def __init__(self) -> None:
        self.recognize = recognizer()
        if shutil.which("espeak-ng") is None:  # better now than when something has been said
            raise LoadingFailed(NO_VOICE)
        self.history: list[Said] = []

    async def __call__(
        self, speech: Utterance, session: Session
    ) -> AsyncIterator[tuple[tuple[int, Samples] | None, list[Said]]]:
        """One turn: what was said and, as it is heard, what is answered."""
        marks = [time.monotonic()]
        words = await asyncio.to_thread(self.recognize, speech)
        if not words:
            if self.history:  # which says how far the answer was heard that this noise has ended
                yield None, self.history
            return
        marks.append(time.monotonic())
        self.history = [*self.history[-MOST:], Said("you", words)]
        yield None, self.history
        spoken: list[str] = []
        lengths: list[float] = []
        try:
            async with aclosing(sentences(write(self.history, session))) as written:
                async for sentence in written:
                    marks.append(time.monotonic())
                    rate, samples = await asyncio.to_thread(speak, sentence)
                    if not spoken:
                        marks.append(time.monotonic())
                        logger.info(TIMES, *(1000 * (mark - marks[0]) for mark in marks[1:]))
                    spoken.append(sentence)
                    lengths.append(len(samples) / rate)
                    # It is pulled ahead: while this is heard, the next one is written and spoken.
                    yield (rate, samples), [*self.history, Said("computer", " ".join(spoken))]
            while session.played() < sum(lengths) - NEARLY:  # noqa: ASYNC110
                await asyncio.sleep(NEARLY)
        finally:  # to its end, or interrupted: what was not heard was not said
            if answer := heard(spoken, lengths, session.played()):
                self.history = [*self.history, Said("computer", answer)]


def write(history: list[Said], session: Session) -> AsyncGenerator[str, None]:
    """The answer, from wherever the command line says."""
    if OPTIONS.url:
        roles = [("user" if said.who == "you" else "assistant", said.text) for said in history]
        messages = [{"role": role, "content": text} for role, text in [("system", PROMPT), *roles]]
        return as_far_as_it_comes(ask(OPTIONS.url, OPTIONS.model, messages), session)
    return off_the_loop(reply(history))


def heard(spoken: list[str], lengths: list[float], seconds: float) -> str:
    """What of these sentences was heard in so many seconds, to the word, as far as one can tell."""
    words: list[str] = []
    for sentence, length in zip(spoken, lengths, strict=True):
        if seconds >= length - NEARLY:
            words.append(sentence)
        elif seconds > 0:
            parts = sentence.split()
            words += [*parts[: int(len(parts) * seconds / length)], "…"]
        seconds -= length
    return " ".join(words)


def options() -> argparse.Namespace:
    """What the command line says, after ``--``."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--url", help="of a server with OpenAI's interface, with its /v1")
    parser.add_argument("--model", default="default", help="the model that is asked for there")
    return parser.parse_known_args()[0]


OPTIONS = options()
stream = Stream(Conversation)

if __name__ == "__main__":
    stream.run()
