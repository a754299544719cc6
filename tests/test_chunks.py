"""Encoded chunks: what comes out is the signal that went in, however its files were cut."""

import io
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtcstream.chunks import ChunkPlayer, _mp3_length
from rtcstream.errors import ResultError
from rtcstream.transport.slot import Superseded
from tests.sounds import KINDS, RATE, STEP, encoded, grey, lag, likeness, sweep

few = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SOUNDING = [kind for kind in KINDS if kind != "silent mp4"]
WITH_PICTURES = [kind for kind, (_, _, picture, _) in KINDS.items() if picture]
EXACT = [
    "mp3",
    "mp3 at 22050 Hz",
    "wav",
    "wav at 16 kHz",
    "flac",
    "ogg",
    "m4a",
    "m4a, index first",
    "mp4",
    "silent mp4",
]
"""Kinds whose files say how much of them is meant; others play the codec's padding too."""
DELAY = 2 * 1152 * RATE // 22_050
"""Samples: two frames of mp3 at 22050 Hz, the longest that any codec here adds."""


class FakeTrack:
    """Takes what is played, and never waits."""

    def __init__(self) -> None:
        self.parts = [np.zeros((0, 2), np.int16)]
        self.pictures: list[tuple[int, float]] = []
        self.end = 0

    def play(self, sound: NDArray[np.int16]) -> int:
        position, self.end = self.end, self.end + len(sound)
        self.parts.append(sound)
        return position

    def schedule(self, picture: av.VideoFrame, position: int) -> None:
        self.pictures.append((position, float(picture.to_ndarray(format="gray").mean())))

    @property
    def sound(self) -> NDArray[np.float32]:
        return np.asarray(np.concatenate(self.parts)[:, 0] / 32_768, np.float32)


def play(chunks: Iterable[Any], kind: Any = "video") -> tuple[FakeTrack, list[str]]:
    """What is played of these chunks, and what is said of them."""
    track, errors = FakeTrack(), list[ResultError]()
    each = iter(chunks)
    ChunkPlayer(track, errors.append, kind).play(lambda: next(each, None))
    return track, [str(error) for error in errors]


def pieces(data: bytes, lengths: Iterable[int]) -> list[bytes]:
    """The data cut into pieces of these lengths, over and over."""
    cut: list[bytes] = []
    lengths, begin = list(lengths), 0
    while begin < len(data):
        length = lengths[len(cut) % len(lengths)]
        cut.append(data[begin : begin + length])
        begin += length
    return cut


def check_sweep(track: FakeTrack, seconds: float = 2.0, exact: bool = False) -> None:
    """The sound is the sweep: later by no more than the codec's delay, without hole or repeat."""
    expected = sweep(seconds)
    late = lag(expected, track.sound, 0 if exact else DELAY)
    assert likeness(expected, track.sound[late:]) > 0.97
    rounding = 1 + round(seconds)  # a resampler gives each file's last sample whole
    assert len(expected) <= len(track.sound) <= len(expected) + (rounding if exact else DELAY)


def check_pictures(track: FakeTrack, count: int, first: int = 0) -> None:
    """The pictures are all there, in order, each when its sound plays."""
    shown = track.pictures[first : first + count]
    assert [round(mean) for _, mean in shown] == pytest.approx(
        [grey(number) for number in range(count)], abs=4
    )
    places = [place - STEP * number for number, (place, _) in enumerate(shown)]
    assert max(places) - min(places) <= DELAY // 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_its_signal(kind: str) -> None:
    """A file in one chunk plays as what was encoded; its pictures stand by their sound."""
    track, errors = play([encoded(kind)])
    assert errors == []
    if kind in SOUNDING:
        check_sweep(track, exact=kind in EXACT)
    if kind in WITH_PICTURES:
        check_pictures(track, 50)
        assert len(track.pictures) == 50


@pytest.mark.parametrize("kind", KINDS)
@few
@given(lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=8))
def test_a_file_cut_anywhere_is_the_same(kind: str, lengths: list[int]) -> None:
    """Where a file is cut makes no difference at all to what is heard and seen."""
    whole, _ = play([encoded(kind)])
    data = encoded(kind)
    cut, errors = play(pieces(data, [max(lengths), *lengths]))
    assert errors == []
    assert np.array_equal(cut.sound, whole.sound)
    assert cut.pictures == whole.pictures


@pytest.mark.parametrize("kind", ["mp3", "ogg", "m4a", "ts"])
def test_single_bytes(kind: str) -> None:
    """A generator may yield byte by byte."""
    track, errors = play(pieces(encoded(kind), [1]))
    assert errors == []
    check_sweep(track, exact=kind in EXACT)


def test_an_ogg_page_begins_no_file() -> None:
    """Each page of an Ogg file begins alike; a file cut between them is one file."""
    pages = [b"OggS" + page for page in encoded("ogg").split(b"OggS")[1:]]
    assert len(pages) > 3
    track, errors = play(pages)
    assert errors == []
    check_sweep(track, exact=True)


@pytest.mark.parametrize("kind", SOUNDING)
def test_whole_files_one_after_another(kind: str) -> None:
    """Files that follow each other play as one signal: no more between them than a codec adds."""
    parts = [encoded(kind, 1.0, start) for start in (0.0, 1.0, 2.0)]
    track, errors = play(parts)
    assert errors == []
    alone = len(play(parts[:1])[0].sound)
    for number in range(3):
        begin = round(len(track.sound) / 3 * number)
        part = track.sound[begin : begin + alone]
        late = lag(sweep(1.0, start=number), np.pad(part, (0, DELAY)), DELAY)
        assert likeness(sweep(0.9, start=number), part[late:]) > 0.97
    assert len(track.sound) == pytest.approx(3 * alone, abs=40)
    if kind in EXACT:
        check_sweep(track, 3.0, exact=True)
    if kind in WITH_PICTURES:
        for number in range(3):
            check_pictures(track, 25, number * 25)
            place = track.pictures[number * 25][0]
            assert place == pytest.approx(number * alone, abs=DELAY)


@few
@given(
    st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_files_of_any_kinds_cut_anywhere(kinds: list[str], dice: random.Random) -> None:
    """Files of different kinds, each cut at random, are all played to their ends."""
    chunks: list[bytes] = []
    for kind in kinds:
        data = encoded(kind, 1.0)
        # The first piece shows what it begins; a ts and an aac never do.
        chunks += pieces(data, [4096, *(dice.randint(1, 9000) for _ in range(5))])
    expected = sum(len(play([encoded(kind, 1.0)])[0].sound) for kind in kinds)
    track, errors = play(chunks)
    if not {"ts", "aac"} & {*kinds[1:]}:
        assert errors == []
        assert len(track.sound) == pytest.approx(expected, abs=1200 * len(kinds))


def test_two_films_without_sound() -> None:
    """Pictures without sound keep their own time, the last of a file too."""
    track, _ = play([encoded("silent mp4", 1.0), encoded("silent mp4", 1.0)])
    assert [place for place, _ in track.pictures] == [STEP * number for number in range(50)]
    assert len(track.sound) == 50 * STEP
    assert not track.sound.any()


def test_paths(tmp_path: Path) -> None:
    """A chunk may be the path of a file, as text or a Path, among others that are bytes."""
    for number in range(2):
        (tmp_path / f"{number}.wav").write_bytes(encoded("wav", 1.0, float(number)))
    track, errors = play(
        [str(tmp_path / "0.wav"), tmp_path / "1.wav", encoded("wav", 1.0, 2.0)], "audio"
    )
    assert errors == []
    check_sweep(track, 3.0, exact=True)


@pytest.mark.parametrize("form", [bytearray, memoryview])
def test_other_bytes(form: Callable[[bytes], Any]) -> None:
    """What holds bytes is as good as bytes."""
    track, errors = play([form(piece) for piece in pieces(encoded("wav", 1.0), [5000])])
    assert errors == []
    check_sweep(track, 1.0, exact=True)


def test_sound_alone_of_a_film() -> None:
    """An AudioChunk that has pictures too is played without them."""
    track, errors = play([encoded("mp4")], "audio")
    assert (errors, track.pictures) == ([], [])
    check_sweep(track, exact=True)


@pytest.mark.parametrize("kind", ["mp3", "wav", "m4a", "mp4", "silent mp4"])
def test_each_chunk_is_reached_where_it_plays(kind: str, tmp_path: Path) -> None:
    """It is said where in the track each chunk begins: of a file in pieces, of whole files, of
    paths."""
    whole = encoded(kind, 1.0)
    half = pieces(whole, [len(whole) // 2 + 1])
    (tmp_path / "file").write_bytes(whole)
    chunks, track, said = [*half, whole, tmp_path / "file"], FakeTrack(), list[tuple[int, int]]()
    each = iter(chunks)
    ChunkPlayer(
        track, lambda error: None, "video", lambda number, place: said.append((number, place))
    ).play(lambda: next(each, None))
    reached = dict(reversed(said))  # where first
    assert sorted(reached) == [1, 2, 3, 4]
    assert reached[1] == 0
    assert reached[2] == pytest.approx(RATE / 2, abs=RATE / 5)
    assert reached[3] == pytest.approx(RATE, abs=RATE / 10)
    assert reached[4] == pytest.approx(2 * RATE, abs=RATE / 5)


# What cannot be played

GOOD = encoded("wav", 1.0)
NOISE = random.Random(1).randbytes(20_000)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "chunk 2 is empty"),
        (b"Hello, this is no sound at all. " * 50, "chunk 2 cannot be decoded: Invalid data"),
        (NOISE, "chunk 2 cannot be decoded"),
        (GOOD[:20], "chunk 2 cannot be decoded"),
        (encoded("m4a")[:3000], "chunk 2 cannot be decoded"),
        (encoded("silent mp4"), "chunk 2 cannot be decoded: there is no sound in it"),
        (Path("missing.mp3"), "chunk 2 cannot be decoded: No such file or directory"),
        (Path("."), "chunk 2 cannot be decoded"),
        (Path(__file__), "chunk 2 cannot be decoded"),
    ],
    ids=["empty", "text", "noise", "head", "truncated", "no sound", "missing", "folder", "program"],
)
def test_what_cannot_be_played_is_named(bad: Any, words: str, tmp_path: Path) -> None:
    """A chunk that is no media is named by its number, and the next one plays."""
    (tmp_path / "good.wav").write_bytes(GOOD)  # bytes behind bytes would belong to that file
    track, [error] = play([tmp_path / "good.wav", bad, encoded("wav", 1.0, 1.0)], "audio")
    assert error.startswith(words)
    assert likeness(sweep(1.0), track.sound[:RATE]) > 0.99
    assert likeness(sweep(1.0, start=1.0), track.sound[-RATE:]) > 0.99


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg", "mp4, index first", "ts"])
def test_a_truncated_file_plays_as_far_as_it_goes(kind: str) -> None:
    """What is there of a file is heard, and the file after it as a whole."""
    data = encoded(kind)
    track, _ = play([data[: len(data) // 2], GOOD], "audio")
    assert len(track.sound) > 1.3 * RATE
    assert likeness(sweep(1.0), track.sound[-RATE:]) > 0.99


@pytest.mark.parametrize("kind", ["mp3", "aac", "ts", "flac"])
def test_noise_in_the_middle_of_a_file(kind: str) -> None:
    """A corrupt piece costs what was in it and is named; the file goes on, and the next plays."""
    parts = pieces(encoded(kind), [1024])
    parts[len(parts) // 2] = random.Random(3).randbytes(1024)
    track, errors = play([*parts, GOOD], "audio")
    assert likeness(sweep(1.0), track.sound[-RATE:]) > 0.99
    assert len(track.sound) > 2.5 * RATE
    assert errors or kind == "flac", "FFmpeg finds the next frame of that without a word"
    numbers = [int(word) for error in errors for word in error.split() if word.isdigit()]
    assert all(abs(number - len(parts) // 2) <= 2 for number in numbers), errors


def test_noise_in_the_middle_of_an_ogg_file() -> None:
    """A corrupt piece of an Ogg file costs the page that it is in, which has a checksum for the
    whole of it; the pages after it play, and so does the next file."""
    parts = pieces(encoded("ogg", 8.0), [1024])
    parts[len(parts) // 3] = random.Random(3).randbytes(1024)
    track, _ = play([*parts, GOOD], "audio")
    assert len(track.sound) == pytest.approx(8 * RATE, abs=RATE // 50)
    assert likeness(sweep(2.0, start=5.0), track.sound[4 * RATE : 6 * RATE]) > 0.97
    assert likeness(sweep(1.0), track.sound[-RATE:]) > 0.99


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_the_length_that_an_mp3_says(before: bytes, after: bytes) -> None:
    """Whatever stands where an MP3 says its length, what comes of it is a length or nothing."""
    frame = b"\xff\xfb\x90\x64" + bytes(32) + b"Info"
    for head in (before + after, before + frame + after, frame + after):
        length, padding = _mp3_length(head)
        assert (length, padding) == (0, 0) or (length > 0 and 0 < padding < 4096)


def test_rubbish_in_many_pieces_is_one_error() -> None:
    """A file in pieces that cannot be read is said once, with the numbers of its pieces."""
    parts = pieces(NOISE, [700])
    track, [error] = play([*parts, GOOD], "audio")
    assert error.startswith(f"chunks 1 to {len(parts)} cannot be decoded")
    check_sweep(track, 1.0, exact=True)


@few
@given(st.sampled_from(SOUNDING), st.randoms(use_true_random=False))
def test_any_damage_is_survived(kind: str, dice: random.Random) -> None:
    """Whatever bytes of a file are wrong, nothing is raised, and the next file plays."""
    data = bytearray(encoded(kind, 1.0))
    for _ in range(dice.randint(1, 30)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    track, errors = play([*pieces(bytes(data), [dice.randint(500, 5000)]), GOOD], "audio")
    assert likeness(sweep(1.0), track.sound[-RATE:]) > 0.99
    assert all("chunk" in error for error in errors)


def test_what_the_generator_raises_is_raised() -> None:
    """An error of the generator, in the middle of a file, is its own and not FFmpeg's."""
    chunks = pieces(encoded("mp3"), [500])

    def failing() -> Any:
        if len(chunks) < 30:
            raise ZeroDivisionError("the model")
        return chunks.pop(0)

    track = FakeTrack()
    with pytest.raises(ZeroDivisionError, match="the model"):
        ChunkPlayer(track, lambda error: None, "audio").play(failing)


@pytest.mark.parametrize("kind", ["wav", "mp3", "mp4", "ts"])
def test_nothing_is_pulled_once_it_is_over(kind: str) -> None:
    """When the track ends the run, the generator is not asked for one more chunk."""
    chunks, pulled = pieces(encoded(kind), [400]), 0

    class Ending(FakeTrack):
        def play(self, sound: NDArray[np.int16]) -> int:
            if self.end > RATE // 4:
                raise Superseded
            return super().play(sound)

    def following() -> Any:
        nonlocal pulled
        assert not ended
        pulled += 1
        return chunks.pop(0) if chunks else None

    ended, track = False, Ending()
    with pytest.raises(Superseded):
        try:
            ChunkPlayer(track, lambda error: None).play(following)
        finally:
            ended = True
    assert pulled and track.end <= RATE


def test_a_path_to_nothing_that_is_a_file(tmp_path: Path) -> None:
    """An empty file is an error like any other."""
    (tmp_path / "empty.mp3").write_bytes(b"")
    track, [error] = play([tmp_path / "empty.mp3", GOOD], "audio")
    assert error.startswith("chunk 1 cannot be decoded")
    check_sweep(track, 1.0, exact=True)


def test_a_known_file_is_readable_by_others() -> None:
    """The files of these tests are what they say: FFmpeg finds the streams of each."""
    for kind, (_, sound, picture, _) in KINDS.items():
        with av.open(io.BytesIO(encoded(kind))) as container:
            assert len(container.streams.audio) == bool(sound), kind
            assert len(container.streams.video) == bool(picture), kind
