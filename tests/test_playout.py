"""What a generator gives: shown, heard and told together, and nothing of a run that is over."""

from collections.abc import Callable

import av
import numpy as np
import pytest

from rtcstream.playout import MOST_SCHEDULED, Playout
from rtcstream.transport.clock import AUDIO_RATE, VIDEO_RATE, SourceClock
from rtcstream.transport.slot import Closed, Slot, Superseded
from rtcstream.transport.sound import FRAME, PacedQueue

Told = list[tuple[str, int | None]]


class Stage:
    """A playout whose time is counted in the frames that are taken from it."""

    def __init__(self, max_fps: float = 1e6) -> None:
        self.played = 0
        now = lambda: self.played * FRAME / AUDIO_RATE  # noqa: E731
        self.queue = PacedQueue(origin=0, now=now)
        self.slot: Slot[av.VideoFrame] = Slot()
        self.playout = Playout(self.slot, self.queue, SourceClock(VIDEO_RATE), max_fps)
        self.told: Told = []

    def play_frame(self) -> None:
        """20 ms go by."""
        self.queue.take()
        self.played += 1

    def tells(self, name: str) -> Callable[[int | None], None]:
        return lambda pts: self.told.append((name, pts))

    def shown(self) -> av.VideoFrame | None:
        """The picture that waits for the encoder, if there is one."""
        self.slot.nudge()
        return self.slot.take()


def frames(count: int) -> np.ndarray:
    return np.zeros((count * FRAME, 2), np.int16)


def picture() -> av.VideoFrame:
    return av.VideoFrame(16, 16, "yuv420p")


def test_a_late_generator_is_silence() -> None:
    """What comes late is no hole in the track: silence stands for it, and time goes on."""
    stage = Stage()
    run = stage.playout.begin()
    sent = []
    for frame in range(6):
        if frame in (1, 4):
            run.play(np.full((FRAME, 2), frame, np.int16))
        sent.append(stage.queue.take())
        stage.played += 1
    assert [frame.pts for frame in sent] == [FRAME * number for number in range(6)]
    assert [int(frame.to_ndarray().max()) for frame in sent] == [0, 1, 0, 0, 4, 0]


def test_results_are_told_with_their_sound() -> None:
    """What comes beside sound is told when that begins to play, not when it is pulled."""
    stage = Stage()
    run = stage.playout.begin()
    for name in "abc":
        run.give(None, frames(10), stage.tells(name))
    for played, expected in ((0, ""), (1, "a"), (10, "a"), (11, "ab"), (20, "ab"), (21, "abc")):
        while stage.played < played:
            stage.play_frame()
        assert stage.told == [(name, None) for name in expected]


def test_results_are_told_with_their_picture() -> None:
    """Results of a picture and its sound carry the timestamp that the picture is sent with."""
    stage = Stage()
    stage.playout.begin().give(picture(), frames(1), stage.tells("a"))
    assert (stage.shown(), stage.told) == (None, [])
    stage.play_frame()
    sent = stage.shown()
    assert sent is not None and stage.told == [("a", sent.pts)]


def test_results_without_sound_are_told_at_once() -> None:
    """What comes without sound waits for none; with its picture's timestamp, if it has one."""
    stage = Stage()
    run = stage.playout.begin()
    run.give(None, None, stage.tells("a"))
    run.give(picture(), None, stage.tells("b"))
    sent = stage.shown()
    assert sent is not None and stage.told == [("a", None), ("b", sent.pts)]


def test_results_after_the_last_sound_are_told() -> None:
    """Until the last results are told, the run has not been played to its end."""
    stage = Stage()
    run = stage.playout.begin()
    run.give(None, frames(1))
    run.give(None, frames(0), stage.tells("end"))
    stage.play_frame()
    assert (stage.queue.waiting, stage.told) == (0, []) and run.pending > 0
    stage.play_frame()
    assert stage.told == [("end", None)] and run.pending == 0


def test_a_film_longer_than_its_sound_ends() -> None:
    """Pictures beyond the last sound keep neither the end of the run nor its results back."""
    stage = Stage()
    run = stage.playout.begin()
    run.play(frames(1))
    run.schedule(picture(), 5 * FRAME)
    run.tell(stage.tells("end"), FRAME)
    for _ in range(2):
        stage.play_frame()
    assert stage.told == [("end", None)] and run.pending == 0


def test_what_is_held_plays_on_where_it_was() -> None:
    """A held run sends silence, and shows and tells nothing; then it goes on with the very next
    sample. Another run begins without being held. Only what was sent counts as played."""
    stage = Stage()
    run = stage.playout.begin()
    sound = np.repeat(np.arange(1, 5, dtype=np.int16), FRAME)
    for number, name in enumerate("abcd"):
        part = sound[number * FRAME : (number + 1) * FRAME]
        run.give(picture(), np.stack([part, part], axis=1), stage.tells(name))
    stage.play_frame()
    stage.playout.hold()
    assert stage.queue.take().to_ndarray().max() == 0
    assert [name for name, _ in stage.told] == ["a"] and run.played == FRAME / AUDIO_RATE
    stage.playout.go_on()
    stage.played += 1
    assert stage.queue.take().to_ndarray().max() == 2
    assert [name for name, _ in stage.told] == ["a", "b"]
    stage.playout.hold()
    stage.playout.begin().give(None, frames(1), stage.tells("new"))
    stage.played += 1
    stage.play_frame()
    assert stage.told[-1] == ("new", None) and run.played == 3 * FRAME / AUDIO_RATE


def test_nothing_of_a_superseded_run() -> None:
    """When another run begins, no picture of the old one is left for the encoder, none of its
    results is told, and it can give no more."""
    stage = Stage()
    old = stage.playout.begin()
    old.give(picture(), frames(2), stage.tells("old"))
    stage.play_frame()
    old.give(picture(), frames(2), stage.tells("older"))
    stage.told.clear()
    new = stage.playout.begin()
    assert stage.shown() is None
    for sound in (frames(1), None):
        for image in (picture(), None):
            with pytest.raises(Superseded):
                old.give(image, sound, stage.tells("late"))
    for _ in range(5):
        stage.play_frame()
    assert (stage.shown(), stage.told) == (None, [])
    new.give(None, frames(1), stage.tells("new"))
    stage.play_frame()
    assert stage.told == [("new", None)]


def test_what_waits_is_bounded() -> None:
    """Of more than can be scheduled beyond the sound, the oldest picture is given up, its results
    told."""
    stage = Stage()
    run = stage.playout.begin()
    run.tell(stage.tells("first"), FRAME)
    for number in range(MOST_SCHEDULED):
        run.schedule(picture(), (number + 2) * FRAME)
    assert stage.told == [("first", None)]


def test_a_closed_playout() -> None:
    """After the end everything raises Closed."""
    stage = Stage()
    run = stage.playout.begin()
    stage.playout.close()
    for sound in (frames(1), None):
        for image in (picture(), None):
            with pytest.raises(Closed):
                run.give(image, sound, stage.tells("late"))
    assert stage.told == []
