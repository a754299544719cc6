"""Frames to exact blocks, and what functions return to sound: nothing lost, nothing invented."""

from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtcstream.annotations import Sound
from rtcstream.errors import ResultError
from rtcstream.samples import FULL_SCALE, LONGEST_HOLE, Blocks, Mixer
from tests.sounds import RATE, frequency, lag, likeness, sweep, tone

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FRAME = RATE // 50
Block = tuple[NDArray[np.float32], int]


def frame(sound: NDArray[np.float32], pts: int, rate: int = RATE, layout: str = "stereo") -> Any:
    """The same sound in each channel, as a decoder gives it."""
    whole = np.rint(sound * (FULL_SCALE - 1)).astype(np.int16)
    packed = np.repeat(whole, 2 if layout == "stereo" else 1)[None]
    made = av.AudioFrame.from_ndarray(packed, "s16", layout)
    made.sample_rate, made.pts = rate, pts
    return made


def send(blocks: Blocks, sound: NDArray[np.float32], *, first: int = 7, lost: Any = ()) -> Any:
    """The blocks that 20 ms frames of this sound give, less those whose numbers are lost."""
    given: list[Block] = []
    for number in range(len(sound) // FRAME):
        if number not in lost:
            begin = number * FRAME
            part = frame(sound[begin : begin + FRAME], first + begin)
            given += blocks.add(part)
    return given


def joined(given: list[Block]) -> NDArray[np.float32]:
    return np.concatenate([block for block, _ in given], axis=1)


def test_blocks_as_they_come() -> None:
    """Without a wish each 20 ms are a block: float32, stereo, exact, with their own timestamp."""
    sound = sweep(0.2)
    given = send(Blocks(Sound()), sound)
    assert [at for _, at in given] == [7 + FRAME * number for number in range(10)]
    assert {(block.shape, block.dtype.name) for block, _ in given} == {((2, FRAME), "float32")}
    assert np.abs(joined(given) - sound).max() < 2 / FULL_SCALE


@pytest.mark.parametrize("seconds", [0.005, 0.0125, 0.02, 0.1, 1.0, 1 / 3])
@pytest.mark.parametrize("rate", [None, 16_000, 44_100, 22_050])
@pytest.mark.parametrize("channels", [None, 1, 2])
def test_blocks_of_an_exact_length(seconds: float, rate: int | None, channels: int | None) -> None:
    """Each block has the same count of samples, and its timestamp is that of its first."""
    size, hz = round(seconds * (rate or RATE)), rate or RATE
    given = send(Blocks(Sound(seconds, rate, channels)), sweep(1.5))
    assert {block.shape for block, _ in given} == {(channels or 2, size)}
    short = 0 if hz == RATE else 40  # what a resampler holds back
    assert (round(1.5 * hz) - short) // size <= len(given) <= round(1.5 * hz) // size
    for number, (_, at) in enumerate(given):
        assert at == 7 + round(number * size * RATE / hz)
    assert likeness(sweep(1.5, hz), joined(given)[-1][: size * len(given)], hz // 20) > 0.99


def test_blocks_are_the_functions_own() -> None:
    """A block may be written to, and holds nothing of the next."""
    given = send(Blocks(Sound(0.01)), sweep(0.1))
    for block, _ in given:
        assert block.flags.writeable and block.base is None
        block[:] = 0


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("rate", [8000, RATE])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_level_stays(layout: str, rate: int, channels: int) -> None:
    """Sound is as loud in mono as in stereo, and at any rate."""
    half = np.full(rate // 10, 0.5, np.float32)
    block, _ = next(Blocks(Sound(0.05, None, channels)).add(frame(half, 0, rate, layout)))
    assert block[:, 1000:1500] == pytest.approx(np.full((channels, 500), 0.5), abs=0.001)
    mixed = Mixer().frame(frame(half, 0, rate, layout))
    assert mixed[1000:1500] == pytest.approx(np.full((500, 2), FULL_SCALE / 2), abs=30)


def test_mono_is_the_mean_of_stereo() -> None:
    """A function that asks for one channel hears both."""
    both = np.stack([tone(1000, 0.02), np.zeros(FRAME, np.float32)], axis=1)
    stereo = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(both * 32767).astype(np.int16).reshape(1, -1), "s16", "stereo"
    )
    stereo.sample_rate, stereo.pts = RATE, 0
    [(block, _)] = Blocks(Sound(channels=1)).add(stereo)
    assert block.shape == (1, FRAME)
    assert block[0] == pytest.approx(tone(1000, 0.02) / 2, abs=0.001)


@pytest.mark.parametrize("rate", [None, 16_000])
def test_lost_packets_are_silence(rate: int | None) -> None:
    """A hole is silence of its exact length, and what follows is at its place."""
    hz = rate or RATE
    sound = sweep(1.0)
    given = send(Blocks(Sound(0.1, rate, 1)), sound, lost={10, 11, 12, 30})
    whole = joined(given)[0]
    assert len(given) == 10 if rate is None else 9
    assert all(after - before == FRAME * 5 for (_, before), (_, after) in pairwise(given))
    silent = np.abs(whole) < 1e-3
    assert silent[int(0.205 * hz) : int(0.255 * hz)].all()
    assert silent[int(0.603 * hz) : int(0.617 * hz)].all()
    expected = sweep(1.0, hz)[: len(whole)]
    for begin, end in ((0.0, 0.19), (0.27, 0.59), (0.63, 0.85)):
        part = slice(int(begin * hz), int(end * hz))
        assert likeness(expected[part], whole[part], hz // 50) > 0.99


@few
@given(st.sets(st.integers(1, 48)), st.sampled_from([None, 0.03, 0.25]))
def test_the_count_of_samples_stays_true(lost: set[int], seconds: float | None) -> None:
    """Whatever packets are lost, as many samples come as were sent, but for a rest."""
    given = send(Blocks(Sound(seconds)), sweep(1.0), lost=lost)
    count = joined(given).shape[1]
    assert 50 * FRAME - round((seconds or 0) * RATE) <= count <= 50 * FRAME
    assert all(at == 7 + sum(b.shape[1] for b, _ in given[:n]) for n, (_, at) in enumerate(given))


def test_what_comes_again_is_dropped() -> None:
    """A packet that was seen, or that was given up and comes late, is not heard."""
    blocks, sound = Blocks(Sound()), sweep(1.0)
    first = send(blocks, sound[: 3 * FRAME], first=0)
    for late in (FRAME, 0, 2 * FRAME):
        assert list(blocks.add(frame(sound[:FRAME], late))) == []
    [(block, at)] = blocks.add(frame(sound[3 * FRAME : 4 * FRAME], 3 * FRAME))
    assert (len(first), at) == (3, 3 * FRAME)
    assert np.abs(block[0] - sound[3 * FRAME : 4 * FRAME]).max() < 2 / FULL_SCALE


@pytest.mark.parametrize("jump", [LONGEST_HOLE + 1, 10 * RATE, -LONGEST_HOLE - 1, -(2**31)])
def test_a_jump_begins_anew(jump: int) -> None:
    """A longer hole, or one back in time, is no silence: the next block begins at its new time."""
    blocks = Blocks(Sound(0.05))
    sound = sweep(1.0)
    assert len(list(send(blocks, sound[: 4 * FRAME], first=0))) == 1
    later = 4 * FRAME + jump
    given = send(blocks, sound[: 5 * FRAME], first=later)
    assert [at for _, at in given] == [later, later + RATE // 20]
    assert np.abs(joined(given)[0] - sound[: RATE // 10]).max() < 2 / FULL_SCALE


def test_what_was_given_up_on_purpose() -> None:
    """Of what a slow function was not in time for, it does not get silence in place."""
    blocks, sound = Blocks(Sound()), sweep(1.0)
    list(blocks.add(frame(sound[:FRAME], 0)))
    [(block, at)] = blocks.add(frame(sound[:FRAME], 10 * FRAME), after_drop=True)
    assert (block.shape, at) == ((2, FRAME), 10 * FRAME)


@pytest.mark.parametrize("rate", [None, 16_000])
def test_sound_of_the_telephone(rate: int | None) -> None:
    """G.711 is mono at 8 kHz, its timestamps in our ticks; lost packets are silence there too."""
    blocks, hz = Blocks(Sound(0.1, rate)), rate or RATE
    sound = tone(440, 2.0, 8000)
    given: list[Block] = []
    for number in range(100):
        part = sound[number * 160 : (number + 1) * 160]
        if number != 50:
            given += blocks.add(frame(part, number * FRAME, 8000, "mono"))
    assert {block.shape for block, _ in given} == {(2, hz // 10)}
    assert len(given) == 19
    whole = joined(given)[0]
    assert frequency(whole[: int(0.99 * hz)], hz) == pytest.approx(440, abs=0.2)
    assert np.abs(whole[int(1.003 * hz) : int(1.017 * hz)]).max() < 0.01


def test_another_codec_in_the_middle() -> None:
    """A peer may change from Opus to G.711 and back: the signal goes on."""
    blocks, given = Blocks(Sound(0.02, None, 1)), list[Block]()
    for number in range(30):
        rate, layout = (8000, "mono") if 10 <= number < 20 else (RATE, "stereo")
        part = tone(440, 0.6, rate)[number * rate // 50 : (number + 1) * rate // 50]
        given += blocks.add(frame(part, number * FRAME, rate, layout))
    assert len(given) >= 29
    assert likeness(tone(440, 0.6), joined(given)[0], FRAME) > 0.95


def test_a_minute_is_cheap() -> None:
    """Long blocks are put together once, not anew with every frame."""
    blocks, part = Blocks(Sound(60.0)), frame(sweep(0.02), 0)
    count = 0
    for number in range(3000):
        part.pts = number * FRAME
        count += sum(block.shape[1] for block, _ in blocks.add(part))
    assert count == 60 * RATE


# What functions return

INT16 = np.array([-32768, -32767, -1, 0, 1, 2, 12345, 32766, 32767], np.int16)


def test_int16_is_sent_bit_by_bit() -> None:
    """int16 is the encoder's own form; the float that a function was given is it again."""
    assert np.array_equal(Mixer().mix(INT16, RATE), np.stack([INT16] * 2, axis=1))
    floats = INT16.astype(np.float32) / FULL_SCALE
    assert np.array_equal(Mixer().mix(floats, RATE)[:, 0], INT16)
    assert np.array_equal(Mixer().mix(floats.astype(np.float64), RATE)[:, 1], INT16)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0.5, -1.0, 1.0]), [16384, -32768, 32767]),
        (np.array([0.5, -1.0, 1.0], np.float16), [16384, -32768, 32767]),
        (np.array([2**30, -(2**31), 2**31 - 1], np.int32), [16384, -32768, 32767]),
        (np.array([192, 0, 128], np.uint8), [16384, -32768, 0]),
        (np.array([0.5, 0.25, 0.0], ">f4"), [16384, 8192, 0]),
        (np.array([0.5, 9.0, 0.25, 9.0, 0.0, 9.0])[::2], [16384, 8192, 0]),
    ],
    ids=["float64", "float16", "int32", "uint8", "big endian", "strided"],
)
def test_every_type_of_number(samples: NDArray[Any], expected: list[int]) -> None:
    """Each accepted type has the same full scale."""
    assert Mixer().mix(samples, RATE)[:, 0].tolist() == expected


@pytest.mark.parametrize(
    ("shape", "left", "right"),
    [
        ((6,), [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        ((1, 6), [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        ((6, 1), [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
        ((2, 3), [0, 1, 2], [3, 4, 5]),
        ((3, 2), [0, 2, 4], [1, 3, 5]),
    ],
)
def test_every_shape(shape: tuple[int, ...], left: list[int], right: list[int]) -> None:
    """One channel is heard on both sides; two may lie either way."""
    mixed = Mixer().mix(np.arange(6, dtype=np.int16).reshape(shape), RATE)
    assert (mixed[:, 0].tolist(), mixed[:, 1].tolist()) == (left, right)


@pytest.mark.parametrize("shape", [(0,), (1, 0), (2, 0), (0, 2)])
@pytest.mark.parametrize("rate", [RATE, 16_000])
def test_nothing_at_all(shape: tuple[int, ...], rate: int) -> None:
    """Sound of no length is sound."""
    assert Mixer().mix(np.zeros(shape, np.float32), rate).shape == (0, 2)


def test_clipping_is_counted() -> None:
    """What is louder than full scale is clipped, not wrapped, and each sample is counted."""
    mixer = Mixer()
    mixed = mixer.mix(np.array([1.5, -3.0, 1.0, -1.0, 0.0]), RATE)
    assert mixed[:, 0].tolist() == [32767, -32768, 32767, -32768, 0]
    assert mixer.clipped == 4, "two in each channel"
    mixer.mix(INT16, RATE)
    assert mixer.clipped == 4


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.array([0.0, np.nan]), "samples must be finite, but some are NaN or infinite"),
        (np.array([np.inf, 0.0]), "samples must be finite"),
        ([0.0, 0.1], "samples must be a numpy array of shape (channels, n), not list"),
        (None, "not NoneType"),
        (np.float32(0.5), "not float32"),
        (np.zeros((3, 4)), "with 1 or 2 channels, not (3, 4)"),
        (np.zeros((2, 2, 2)), "not (2, 2, 2)"),
        (np.zeros((0, 0)), "not (0, 0)"),
        (np.array(0.5), "not ()"),
        (np.zeros(4, np.int64), "int16, int32 or uint8, not int64; convert them with .astype"),
        (np.zeros(4, bool), "not bool"),
        (np.zeros(4, complex), "not complex128"),
        (np.array(["a"]), "not <U1"),
    ],
)
def test_what_is_no_sound(samples: Any, sentence: str) -> None:
    """What cannot be heard is an error that says what it is and what to do."""
    with pytest.raises(ResultError) as caught:
        Mixer().mix(samples, RATE)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("rate", [0, -1, 999, 384_001])
def test_rates_that_make_no_sense(rate: int) -> None:
    """A rate that no sound has is refused."""
    with pytest.raises(ResultError, match="from 1000 to 384000 Hz"):
        Mixer().mix(tone(440, 0.1), rate)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 96_000])
def test_any_rate_joins_without_a_click(rate: int) -> None:
    """Blocks of any length at another rate become one signal of the exact length."""
    mixer, sound = Mixer(), sweep(1.0, rate)
    parts, begin = [], 0
    for length in np.random.default_rng(1).integers(1, rate // 10, 200):
        parts.append(mixer.mix(sound[begin : begin + length], rate))
        begin += length
    mixed = np.concatenate([*parts, mixer.flush()])
    assert len(mixed) == pytest.approx(RATE, abs=2)
    assert lag(sweep(1.0), mixed[:, 0] / FULL_SCALE, 40) <= 1
    assert likeness(sweep(1.0), mixed[:, 0] / FULL_SCALE) > 0.999


def test_a_change_of_rate_loses_nothing() -> None:
    """Sound of one rate is played to its last sample before that of the next begins."""
    mixer = Mixer()
    rates = [16_000, RATE, 22_050, 16_000, RATE]
    parts = [mixer.mix(sweep(0.2, rate, 0.2 * n), rate) for n, rate in enumerate(rates)]
    mixed = np.concatenate([*parts, mixer.flush()])[:, 0]
    assert len(mixed) == pytest.approx(RATE, abs=4)
    assert likeness(sweep(1.0), mixed / FULL_SCALE, FRAME) > 0.99


@pytest.mark.parametrize("form", ["s16", "s16p", "flt", "fltp", "s32", "u8", "dbl"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_raw_frames_of_any_form(form: str, layout: str) -> None:
    """An av frame of any format, rate and layout is converted."""
    made = av.AudioFrame(form, layout, 882)
    made.sample_rate = 44_100
    for plane in made.planes:
        plane.update(bytes(plane.buffer_size))
    mixer = Mixer()
    parts = [mixer.frame(made) for _ in range(50)]
    assert sum(map(len, parts)) + len(mixer.flush()) == pytest.approx(RATE, abs=2)
