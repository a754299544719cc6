"""Pictures and sound in one session: two functions, one set of controls."""

import asyncio
from typing import Any

import cv2
import numpy as np
import pytest

from rtcstream import Image, Samples, SignatureError, Stream, testing
from tests.leaks import no_leaks
from tests.pictures import plain
from tests.sounds import RATE, tone

FRAME = RATE // 50


def brighten(image: Image, amount: int = 0) -> Image:
    return cv2.add(image, np.full_like(image, amount))


def amplify(samples: Samples, amount: int = 0, echo: bool = False) -> Samples:
    return samples * (1 + amount / 100)


async def test_pictures_and_sound_in_one_session() -> None:
    """Two functions share the session and its controls; each sees those that it has."""
    stream = Stream(video=brighten, audio=amplify)
    described = stream.describe()
    assert (described["inputs"], described["outputs"]) == (["video", "audio"],) * 2
    assert [control["name"] for control in described["controls"]] == ["amount", "echo"]
    async with no_leaks(), testing.connect(stream, controls={"amount": 50}) as peer:
        picture = await peer.apply(plain((100, 100, 100)))
        sound = tone(440, 0.5)
        for begin in range(0, len(sound), FRAME):
            peer.send_sound(sound[begin : begin + FRAME])
            await asyncio.sleep(0.004)
        back = await peer.hear(0.5)
        assert peer.values == {"amount": 50, "echo": False}
        stats = await peer.message("stats")
    assert picture.mean() == pytest.approx(150, abs=5)
    assert np.abs(back).max() == pytest.approx(0.75, rel=0.1)
    assert stats["fps_in"] <= 5, "pictures are counted, and not packets of sound beside them"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"video": amplify}, SignatureError, "as video= it must take `image: Image`"),
        ({"audio": brighten}, SignatureError, "as audio= it must take `samples: Samples`"),
        ({"fn": brighten, "audio": amplify}, ValueError, "one function, or video= and audio="),
        ({}, ValueError, "one function, or video= and audio="),
    ],
)
def test_two_functions_that_do_not_fit(given: Any, error: type, words: str) -> None:
    """Each function must take what it is given for."""
    with pytest.raises(error, match=words):
        Stream(**given)


def test_controls_that_conflict() -> None:
    """One name is one control: two functions that mean different things by it are refused."""

    def other(samples: Samples, amount: float = 0.5) -> Samples:
        return samples

    with pytest.raises(SignatureError, match="a different control so called") as caught:
        Stream(video=brighten, audio=other)
    assert (caught.value.function, caught.value.parameter) == ("other", "amount")
