"""Sound and generators in Chromium, with speech as the microphone."""

import sys
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import expect

from rtcstream import Samples, Stream, Utterance
from rtcstream.examples import (
    audio_meter,
    fake_diffusion,
    keep_repeating_audio,
    my_generator,
    play_file,
    talking_mirror,
    tone,
    voice_changer,
)
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import begin, heard, sounding, until, visit
from tests.hearing import RATE, likeness, pitch, read, record, speak, write


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence, over and over."""
    text = "A microphone hears this sentence, and a program in Python sends it back at once."
    return speak(tmp_path_factory.mktemp("sound") / "speech.wav", text)


@pytest.fixture(scope="module")
def whistle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A steady 440 Hz, in whole periods."""
    samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    return write(tmp_path_factory.mktemp("sound") / "whistle.wav", samples)


async def test_speech_comes_back_as_it_was(pages: Pages, serve: Serve, speech: Path) -> None:
    """With processing off, what is played correlates with what was said by more than 0.9.

    In pieces of half a second, so that one with the seam of the looped file in it, or a moment
    that the browser concealed, spoils itself only.
    """

    def loopback(samples: Samples) -> Samples:
        return samples

    async with serve(Stream(loopback)) as url:
        page = await visit(pages, url, setup={"microphone": speech})
        await begin(page, processing=False)
        await sounding(page)
        await record(page, 1.0)  # until the browser's buffer has settled
        source = read(speech)
        pieces = np.split((await record(page, 5.0))[: 5 * RATE], 10)
        spoken = [piece for piece in pieces if np.abs(piece).max() > 0.1]
        likenesses = [likeness(piece, source) for piece in spoken]
        assert np.median(likenesses) > 0.95, likenesses
        assert np.mean(np.array(likenesses) > 0.9) >= 0.7, likenesses
        await page.click("#start")


async def test_voice_changer_changes_the_pitch(pages: Pages, serve: Serve, whistle: Path) -> None:
    """Five semitones up, as its slider begins, 440 Hz come back as 587 Hz."""
    async with serve(voice_changer.stream) as url:
        page = await visit(pages, url, setup={"microphone": whistle})
        await begin(page, processing=False)
        await sounding(page)
        await record(page, 1.0)
        assert pitch(await record(page, 1.0)) == pytest.approx(440 * 2 ** (5 / 12), rel=0.01)
        await page.click("#start")


async def test_meter_plots_its_number(pages: Pages, serve: Serve, whistle: Path) -> None:
    """A send-only function of sound plots its numbers, and they are right."""
    async with serve(audio_meter.stream) as url:
        page = await visit(pages, url, setup={"microphone": whistle})
        await begin(page, processing=False)
        await until(page, "heard.filter((each) => each.type === 'result').length > 40")
        levels = [message["data"] for message in await heard(page, "result")]
        assert np.median(levels[20:]) == pytest.approx(-9, abs=1.5)  # a sine of amplitude 0.5
        await expect(page.locator("#results canvas")).to_be_visible()
        await page.click("#start")


async def test_tone_follows_its_slider(pages: Pages, serve: Serve) -> None:
    """A generator's tone is exact to 0.1 %, and a Live control moves it without a new run."""
    async with serve(tone.stream) as url:
        page = await visit(pages, url)
        await begin(page)
        await sounding(page)
        await record(page, 0.5)
        assert pitch(await record(page, 1.0)) == pytest.approx(440, rel=0.001)
        await page.locator("[name=hz]").fill("880")
        await until(
            page, "heard.some((each) => each.type === 'controls' && each.values.hz === 880)"
        )
        await record(page, 1.2)  # what was ahead
        assert pitch(await record(page, 1.0)) == pytest.approx(880, rel=0.001)
        states = [message["value"] for message in await heard(page, "state")]
        assert states.count("running") == 1
        await page.click("#start")


async def test_fake_diffusion_ends_orange(pages: Pages, serve: Serve) -> None:
    """The guide's generator shows its steps, changes size in the middle, and ends in orange."""
    middle = """(() => {
      const video = document.querySelector("#output");
      const context = new OffscreenCanvas(4, 4).getContext("2d");
      context.drawImage(video, 0, 0, 4, 4);
      return [video.videoWidth, ...context.getImageData(2, 2, 1, 1).data.slice(0, 3)];
    })()"""
    async with serve(fake_diffusion.stream) as url:
        page = await visit(pages, url)
        await begin(page)
        await until(page, "heard.some((each) => each.type === 'progress')")
        await until(page, "heard.some((each) => each.value === 'finished')")
        await until(page, "document.querySelector('#output').videoWidth === 1000")
        width, red, green, blue = await page.evaluate(middle)
        assert (width, red > 230, 100 < green < 150, blue < 40) == (1000, True, True, True)
        await page.click("#start")


async def test_counting_again(pages: Pages, serve: Serve) -> None:
    """Results of a generator replace each other; Run again begins anew."""
    async with serve(my_generator.stream) as url:
        page = await visit(pages, url + "?x=5")
        await begin(page)
        again = page.locator("#again")
        await expect(again).to_be_visible(timeout=10_000)
        assert [m["data"] for m in await heard(page, "result")] == [0, 1, 2, 3, 4]
        await again.click()
        await expect(again).to_be_visible(timeout=10_000)
        runs = [message["run"] for message in await heard(page, "result")]
        assert runs == [1] * 5 + [2] * 5
        await page.click("#start")


async def test_recording_is_repeated(pages: Pages, serve: Serve, whistle: Path) -> None:
    """Record, stop, and the take is heard again, as often as the control says."""
    async with serve(keep_repeating_audio.stream) as url:
        page = await visit(pages, url + "?times=3", setup={"microphone": whistle})
        await begin(page, processing=False)
        button = page.locator("#record")
        await button.click()
        await expect(button).to_have_text("Stop recording")
        await until(page, "heard.some((each) => each.type === 'progress' && each.value > 0.02)")
        await button.click()
        await expect(button).to_have_text("Record")
        await until(page, "heard.some((each) => each.value === 'thinking')")
        await sounding(page)
        played = await record(page, 1.5)
        assert pitch(played[-RATE // 2 :]) == pytest.approx(440, rel=0.005)
        await page.click("#start")


async def test_turn_of_speech_is_answered(pages: Pages, serve: Serve, speech: Path) -> None:
    """What is said is cut into a turn where the speaker pauses, and answered."""

    def length(words: Utterance) -> str:
        return f"{words.seconds:.1f} s"

    async with serve(Stream(length)) as url:
        page = await visit(pages, url, setup={"microphone": speech})
        await begin(page, processing=False)
        await until(page, "heard.some((each) => each.type === 'result')", timeout=30)
        states = [message["value"] for message in await heard(page, "state")]
        order = [states.index(value) for value in ("listening", "speaking", "thinking")]
        assert order == sorted(order)
        await page.click("#start")


async def test_camera_and_microphone_in_one_session(
    pages: Pages, serve: Serve, whistle: Path
) -> None:
    """`Stream(video=, audio=)`: both come back in one element, with one set of controls."""
    async with serve(talking_mirror.stream) as url:
        page = await visit(pages, url, setup={"microphone": whistle})
        await begin(page, processing=False)
        await until(page, "document.querySelector('#output').videoWidth")
        await sounding(page, "#output")
        await record(page, 1.0, "#output")
        assert pitch(await record(page, 0.5, "#output")) == pytest.approx(440, rel=0.005)
        assert await page.locator("[data-control=bend]").count() == 1
        await page.click("#start")


async def test_film_plays_with_its_sound(
    pages: Pages, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film from disk is seen and heard, and is still when it is paused."""
    monkeypatch.setattr(sys, "argv", ["play_file"])
    async with serve(play_file.stream) as url:
        page = await visit(pages, url)
        await begin(page)
        await until(page, "document.querySelector('#output').videoWidth === 640", timeout=30)
        played = await record(page, 1.5, "#output")
        assert np.abs(played).max() > 0.1
        await page.locator("[name=paused]").check()
        await record(page, 1.5, "#output")
        assert np.abs(await record(page, 0.5, "#output")).max() < 0.01
        await page.click("#start")
