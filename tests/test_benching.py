"""`python -m rtcstream bench`: a function under load."""

import dataclasses
import time
from pathlib import Path

import pytest

from rtcstream import Image, Samples, Stream, benching, synthetic
from rtcstream.__main__ import main
from rtcstream.benching import Load
from rtcstream.errors import CommandError

LOAD = Load(
    full_rate=30,
    sent=[30.0, 30.0],
    received=[30.0, 20.0],
    latencies=[10.0, 12.0, 14.0],
    stages={"function": (4.0, 6.0)},
    processor=0.4,
    visitors_processor=0.1,
    memory=160.0,
    memory_before=120.0,
)


def flip(image: Image) -> Image:
    return image[::-1]


def slow(image: Image) -> Image:
    time.sleep(0.2)
    return image


def hum(samples: Samples) -> Samples:
    return samples


async def test_visitors_get_back_what_they_send() -> None:
    """Pictures come back to each visitor, timed, with what the session tells of their way."""
    load = await benching.measure(Stream(flip), sessions=2, seconds=2)
    assert len(load.received) == len(load.sent) == 2
    assert min(load.received) > 1
    assert load.latencies and min(load.latencies) > 0
    assert all(0 <= p50 <= p95 for p50, p95 in load.stages.values())
    assert load.processor > 0 and load.memory > 0


async def test_a_slow_function_is_not_held() -> None:
    """A session whose function cannot keep up does not count as held at full frame rate."""
    load = await benching.measure(Stream(slow), sessions=1, seconds=2)
    assert load.held == 0


async def test_a_stream_without_pictures_is_refused() -> None:
    """What shows no video cannot be loaded, and the error says so."""
    with pytest.raises(CommandError, match="hum shows none"):
        await benching.measure(Stream(hum), sessions=1, seconds=1)


async def test_more_than_the_limit_are_refused() -> None:
    """Visitors that would only wait in line are no load, and the error says so."""
    with pytest.raises(CommandError, match="concurrency_limit=1, and 2 are to come"):
        await benching.measure(Stream(slow, concurrency_limit=1), sessions=2, seconds=1)


def test_the_report_says_what_is_held() -> None:
    """The sessions at full rate, the latency, the stages and the cost of one are in the report."""
    text = "\n".join(benching.report("app", LOAD))
    assert "held at 30 pictures a second: 1 of 2 (20.0 to 30.0 pictures a second)" in text
    assert "p50 12.0 ms" in text
    assert "function: p50 4.0 ms, p95 6.0 ms" in text
    assert "20.0% of a core a session" in text
    assert "20.0 MB a session" in text
    assert "too small" not in text


def test_the_report_says_that_the_machine_is_too_small() -> None:
    """Visitors that could not send at their rate make the figures a lower bound."""
    busy = dataclasses.replace(LOAD, sent=[30.0, 25.0])
    assert "too small" in "\n".join(benching.report("app", busy))


def test_the_clip_is_video() -> None:
    """What visitors send begins with its only keyframe, and is of the size that a camera sends."""
    clip = synthetic.encode(synthetic.scene()[:10])
    assert len(clip) == 10
    assert [data[0] & 1 for data in clip] == [0] + 9 * [1]  # RFC 6386 section 9.1


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("", "has nothing to serve"),
        ("from aiohttp import web\napp = web.Application()", "takes one Stream"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fresh_imports: None,
    program: str,
    sentence: str,
) -> None:
    """A target that is no stream ends with status 1 and one line."""
    path = tmp_path / "app.py"
    path.write_text(program)
    assert main(["bench", str(path)]) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
