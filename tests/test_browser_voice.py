"""Speech in Chromium: examples that listen, and the page's sound controls."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.async_api import expect

from rtcstream import Progress, Samples, Session, Stream
from rtcstream.examples import echo_bot, keep_repeating_video, play_file, transcribe
from tests.browser import Pages
from tests.conftest import Serve
from tests.footage import Watch, begin, heard, sounding, until, visit
from tests.hearing import RATE, read, record, speak, write
from tests.pictures import difference


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences, a second and a half apart, and three seconds of silence, over and over."""
    folder = tmp_path_factory.mktemp("sound")
    said = [
        read(speak(folder / f"{number}.wav", text))
        for number, text in enumerate(("what is the time", "no wait, I said stop it now"))
    ]
    pauses = [np.zeros(seconds * RATE // 2, np.float32) for seconds in (3, 6)]
    return write(folder / "talk.wav", np.concatenate([said[0], pauses[0], said[1], pauses[1]]))


async def test_echo_bot_answers(pages: Pages, serve: Serve, talk: Path) -> None:
    """The example says how long somebody spoke, and is heard; interrupted, it begins anew."""
    async with serve(echo_bot.stream) as url:
        page = await visit(pages, url, setup={"microphone": talk})
        await begin(page, processing=False)
        await expect(page.locator("#results")).to_contain_text("You spoke for", timeout=30_000)
        await sounding(page)
        assert np.abs(await record(page, 1.5)).max() > 0.05
        runs = (
            "new Set(heard.filter((each) => each.type === 'result').map((each) => each.run)).size"
        )
        await until(page, f"{runs} >= 2", timeout=30)
        await page.click("#start")


async def test_transcribe_writes(pages: Pages, serve: Serve, talk: Path) -> None:
    """The example shows words of what is said."""
    async with serve(transcribe.stream) as url:
        page = await visit(pages, url, setup={"microphone": talk})
        await begin(page, processing=False)
        await until(page, "heard.some((each) => each.type === 'result')", timeout=45)
        words = (await heard(page, "result"))[-1]["data"]
        await expect(page.locator("#results")).to_contain_text(words.split()[0])
        await page.click("#start")


async def test_video_is_repeated(pages: Pages, serve: Serve, talk: Path) -> None:
    """The example shows a take of camera and microphone again."""
    async with serve(keep_repeating_video.stream) as url:
        page = await visit(pages, url + "?times=2", setup={"microphone": talk})
        await begin(page, processing=False)
        button = page.locator("#record")
        await button.click()
        await expect(page.locator("#progress")).to_be_visible()
        await until(page, "heard.some((each) => each.type === 'progress' && each.value > 0.03)")
        await button.click()
        await until(page, "document.querySelector('#output').videoWidth === 640", timeout=30)
        await until(page, "heard.some((each) => each.value === 'finished')", timeout=30)
        await page.click("#start")


async def test_muting_and_volume(pages: Pages, serve: Serve, tmp_path: Path) -> None:
    """The microphone can be muted, which sends silence, and chosen; the player can be, too, and its
    volume set."""
    whistle = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    microphone = write(tmp_path / "whistle.wav", whistle)

    def same(samples: Samples) -> Samples:
        return samples

    async with serve(Stream(same)) as url:
        page = await visit(pages, url, setup={"microphone": microphone})
        await begin(page, processing=False)
        await sounding(page)
        assert await page.locator("#microphone option").count() > 1
        assert np.abs(await record(page, 1.0)).max() > 0.3
        await page.click("#mute-microphone")
        await record(page, 1.0)
        assert np.abs(await record(page, 0.5)).max() < 0.01
        await page.click("#mute-microphone")
        await record(page, 1.0)
        assert np.abs(await record(page, 0.5)).max() > 0.3
        player = page.locator("#sound")
        await page.locator("#volume").fill("0.25")
        assert await player.evaluate("player => player.volume") == 0.25
        await page.click("#mute")
        assert await player.evaluate("player => player.muted")
        await page.click("#start")


async def test_progress_and_notices(pages: Pages, serve: Serve) -> None:
    """A generator's progress is a bar with its words; what the session says are notices."""

    def steps(session: Session, progress: Progress, word: str = "a") -> Iterator[str]:
        session.info("for your information")
        session.error("that went wrong")
        progress(0.4, "step 4 of 10")
        yield word
        while not session.receive():
            yield word

    async with serve(Stream(steps)) as url:
        page = await visit(pages, url)
        await begin(page)
        await expect(page.locator("#progress-text")).to_have_text("step 4 of 10")
        assert await page.locator("#progress-bar").evaluate("bar => bar.value") == 0.4
        for text in ("for your information", "that went wrong"):
            await expect(page.locator("#notices")).to_contain_text(text)
        # As one types, each change supersedes the last run, and only the newest is shown.
        field = page.locator("[name=word]")
        await field.fill("")
        await field.press_sequentially("hello", delay=40)
        await expect(page.locator("#results")).to_have_text(re.compile("hello$"))
        runs = [message["run"] for message in await heard(page, "result")]
        assert runs == sorted(runs) and runs[-1] <= 3
        await page.click("#start")


async def test_a_film_is_sought(
    pages: Pages, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The film's example begins where its slider says, also between two keyframes."""
    monkeypatch.setattr(sys, "argv", ["play_file"])
    first, later = (next(play_file.play_file(start))[0] for start in (0.0, 0.8))
    async with serve(play_file.stream) as url:
        page = await visit(pages, url + "?start=0.8&paused=true")
        watch = await Watch.on(page, size=(160, 90))
        await begin(page)
        shown = (await watch.at_least(1))[-1].picture
        assert difference(shown, cv2.resize(later, (160, 90))) < 5
        assert difference(shown, cv2.resize(first, (160, 90))) > 5
        await page.click("#start")
