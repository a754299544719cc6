"""Where the time of a frame goes: marks, and what is summed up of them."""

import threading
from types import SimpleNamespace

import pytest

from rtcstream.transport import timeline
from rtcstream.transport.timeline import (
    DECODED,
    ENCODED,
    ENCODING,
    RECEIVED,
    RETURNED,
    SENT,
    TAKEN,
    Timeline,
)

ALL = (RECEIVED, DECODED, TAKEN, RETURNED, ENCODING, ENCODED, SENT)


def marked(monkeypatch: pytest.MonkeyPatch, frames: list[dict[int, float]]) -> Timeline:
    """A timeline with these marks of each frame, in seconds."""
    made = Timeline()
    for pts, marks in enumerate(frames):
        for stage, at in marks.items():
            clock = SimpleNamespace(perf_counter=lambda at=at: at)
            monkeypatch.setattr(timeline, "time", clock)
            made.mark(pts, stage)
    return made


def test_stages_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage is the time between two marks, the total that from the first to the last."""
    steps = dict(zip(ALL, (0.0, 0.002, 0.003, 0.013, 0.014, 0.018, 0.019), strict=True))
    summary = marked(monkeypatch, [steps] * 5).summary()
    assert summary == {
        "decode": (2.0, 2.0),
        "wait": (1.0, 1.0),
        "function": (10.0, 10.0),
        "wait_encoder": (1.0, 1.0),
        "encode": (4.0, 4.0),
        "send": (1.0, 1.0),
        "total": (19.0, 19.0),
    }


def test_a_median_and_a_percentile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred frames, the middle one and the ninety-fifth are told."""
    frames = [{ENCODED: 0.0, SENT: number / 1000} for number in range(101)]
    assert marked(monkeypatch, frames).summary() == {"send": (50.0, 95.0)}


def test_stages_that_no_frame_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator's frames were never received: what there is to tell is told."""
    summary = marked(monkeypatch, [{ENCODING: 0.0, ENCODED: 0.001, SENT: 0.002}]).summary()
    assert summary == {"encode": (1.0, 1.0), "send": (1.0, 1.0)}
    assert Timeline().summary() == {}


def test_frames_that_never_arrive_are_forgotten() -> None:
    """Frames replaced on their way, and those long sent, do not pile up."""
    made = Timeline()
    for pts in range(1000):
        made.mark(pts, DECODED)
    assert len(made._under_way) == Timeline.UNDER_WAY
    for pts in range(1000):
        made.mark(pts, SENT)
    assert len(made._done) == Timeline.KEPT
    assert not made._under_way.keys() - range(1000 - Timeline.UNDER_WAY, 1000)


def test_marks_from_several_threads() -> None:
    """Threads that mark at once do not disturb each other, nor who reads."""
    made, errors = Timeline(), []

    def mark(stage: int) -> None:
        try:
            for pts in range(5000):
                made.mark(pts, stage)
                if pts % 500 == 0:
                    made.summary()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=mark, args=(stage,)) for stage in (DECODED, ENCODING, SENT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_each_frame_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again, the stages of the frames sent since are told, and of those that are kept."""
    steps = dict(zip(ALL, (0.0, 0.002, 0.003, 0.013, 0.014, 0.018, 0.019), strict=True))
    made = marked(monkeypatch, [steps] * 2)
    sent, stages = made.since(0)
    assert sent == 2
    assert [name for name, _ in stages[:3]] == ["decode", "wait", "function"]
    assert [seconds for name, seconds in stages if name == "total"] == pytest.approx([0.019] * 2)
    assert made.since(sent) == (2, [])
    many = marked(monkeypatch, [steps] * (Timeline.KEPT + 10))
    sent, stages = many.since(0)
    assert sent == Timeline.KEPT + 10
    assert len([name for name, _ in stages if name == "total"]) == Timeline.KEPT
