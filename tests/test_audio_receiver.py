"""Sound that was lost: concealed without a click, in the place where it belongs."""

import asyncio
import contextlib
import queue
import threading
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import RtpPacket
from numpy.typing import NDArray

from rtcstream.transport.audio_jitter import SoundFrame
from rtcstream.transport.audio_receiver import AudioDecoder, AudioReceiver
from rtcstream.transport.encoder import AudioEncoder
from rtcstream.transport.opus import LONGEST_PACKET, OpusDecoder, libopus
from rtcstream.transport.sound import FRAME, to_frame

from .sounds import sweep, tone

OPUS = RTCRtpCodecParameters("audio/opus", clockRate=48_000, channels=2, payloadType=96)
PCMU = RTCRtpCodecParameters("audio/PCMU", clockRate=8000, channels=1, payloadType=0)
START = 2**32 - 5000


def encoded(sound: NDArray[np.float32], **options: str) -> list[bytes]:
    encoder = AudioEncoder(OPUS)
    if options:
        encoder._opus.options = {**encoder._opus.options, **options}  # type: ignore[union-attr]
    stereo = np.repeat(np.rint(sound * 32767).astype(np.int16)[:, np.newaxis], 2, axis=1)
    packets: list[bytes] = []
    for at in range(0, len(stereo) - FRAME + 1, FRAME):
        for sent in encoder.encode(to_frame(stereo[at : at + FRAME], at)):
            packets += sent.payloads
    return packets


def decode(
    packets: list[bytes], lost: set[int], codec: RTCRtpCodecParameters = OPUS
) -> list[av.AudioFrame]:
    """What the decoder gives for the packets that were not lost."""
    decoder = AudioDecoder(threading.Event())
    frames, missing = [], 0
    for number, data in enumerate(packets):
        if number in lost:
            missing += 1
            continue
        at = START + number * FRAME * codec.clockRate // 48_000
        frames += decoder._decode(codec, SoundFrame(data, at, missing))
        missing = 0
    return frames


def timeline(frames: list[av.AudioFrame]) -> NDArray[np.float64]:
    """One channel of it all, in its place; silence where there is none."""
    assert frames[-1].pts is not None
    whole = np.zeros(frames[-1].pts - START + frames[-1].samples)
    end = 0
    for frame in frames:
        assert frame.pts is not None
        place = frame.pts - START
        assert place >= end
        end = place + frame.samples
        whole[place:end] = frame.to_ndarray().reshape(-1, 2)[:, 0]
    return whole


def steepest(sound: NDArray[np.float64]) -> float:
    """The largest step from one sample to the next: a click is one."""
    return float(np.abs(np.diff(sound)).max())


def longest_silence(sound: NDArray[np.float64]) -> int:
    loud = np.flatnonzero(np.abs(sound) > 2)
    return int(np.diff(loud).max())


@pytest.mark.parametrize("sound", [tone(440, 6.0), sweep(6.0)], ids=["tone", "sweep"])
@pytest.mark.parametrize("seed", range(3))
def test_random_loss_makes_no_click(sound: NDArray[np.float32], seed: int) -> None:
    """With a tenth of the packets lost, no step is bigger than without, and nothing is missing."""
    packets = encoded(sound)
    random = np.random.default_rng(seed)
    lost = {n for n in range(10, len(packets) - 10) if random.random() < 0.1}
    whole = timeline(decode(packets, set()))
    frames = decode(packets, lost)
    patched = timeline(frames)
    assert len(patched) == len(whole)
    assert sum(frame.samples for frame in frames) == len(patched)
    assert steepest(patched) < 1.2 * steepest(whole)
    holes = whole.copy()
    for number in lost:
        holes[number * FRAME : (number + 1) * FRAME] = 0
    assert steepest(holes) > 3 * steepest(patched)


def test_a_long_loss_fades_into_silence() -> None:
    """Of a long loss the beginning is concealed, and fades; the end is a hole, and what follows
    fades in from it."""
    packets = encoded(tone(440, 2.0))
    whole = timeline(decode(packets, set()))
    frames = decode(packets, set(range(20, 50)))
    patched = timeline(frames)
    assert sum(frame.samples for frame in frames) == 70 * FRAME + LONGEST_PACKET
    assert longest_silence(patched) == pytest.approx(30 * FRAME - LONGEST_PACKET, abs=FRAME)
    assert steepest(patched) < 1.2 * steepest(whole)


def test_a_pause_is_not_concealed() -> None:
    """Where the sender was silent, nothing is made up: the timestamps jump."""
    first, second = encoded(tone(440, 0.04))[:2]
    decoder = AudioDecoder(threading.Event())
    decoder._decode(OPUS, SoundFrame(first, 0, 0))
    frames = decoder._decode(OPUS, SoundFrame(second, 20 * FRAME, 0))
    assert [frame.pts for frame in frames] == [20 * FRAME]


def test_a_loss_beside_a_pause() -> None:
    """Where a packet is lost and the sender was silent, too, only the packet is concealed."""
    packets = encoded(tone(440, 0.06))
    decoder = AudioDecoder(threading.Event())
    decoder._decode(OPUS, SoundFrame(packets[0], 0, 0))
    frames = decoder._decode(OPUS, SoundFrame(packets[2], 20 * FRAME, 1))
    assert [frame.pts for frame in frames] == [FRAME, 20 * FRAME]


def test_timestamps_that_go_back_are_not_concealed() -> None:
    """A sender that starts over with lower timestamps leaves no hole to fill."""
    first, second = encoded(tone(440, 0.04))[:2]
    decoder = AudioDecoder(threading.Event())
    decoder._decode(OPUS, SoundFrame(first, 10 * FRAME, 5))
    frames = decoder._decode(OPUS, SoundFrame(second, 0, 5))
    assert [frame.pts for frame in frames] == [0]


def test_other_codecs_leave_a_hole() -> None:
    """What is lost of G.711 is a hole in the timestamps, as is what was never told to be lost."""
    frames = decode([b"\xff" * 160] * 6, {2, 3}, PCMU)
    assert len(frames) == 4
    decoder = AudioDecoder(threading.Event())
    first, *_, last = encoded(tone(440, 0.2))
    decoder._decode(OPUS, JitterFrame(first, 0))
    assert len(decoder._decode(OPUS, JitterFrame(last, 9 * FRAME))) == 1


def test_a_copy_in_the_next_packet_is_used() -> None:
    """What a sender repeats in the next packet (in-band FEC) is far nearer to what was lost than
    what the decoder makes up."""
    library = libopus()
    assert library is not None
    spoken = sweep(2.0)
    packets = encoded(spoken, fec="1", packet_loss="20", application="voip", b="32000")
    whole = timeline(decode(packets, set()))
    lost = set(range(10, 90, 4))
    corrected = timeline(decode(packets, lost))
    decoder = OpusDecoder(library)
    parts = []
    for number, data in enumerate(packets):
        if number in lost:
            parts.append(decoder.conceal(FRAME))
        else:
            parts.append(decoder._decode(data, LONGEST_PACKET, 0))
    made_up = np.concatenate(parts)[:, 0].astype(np.float64)
    assert error(whole, corrected) < error(whole, made_up) / 2


def error(signal: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    return float(((signal - found) ** 2).sum())


@pytest.mark.parametrize("data", [b"\xff", b"\xff\x80", b"\xfe\xff\xff", bytes(range(255)) * 20])
def test_nonsense_ends_nothing(data: bytes) -> None:
    """Bytes that are no packet of Opus are an error that the decoder survives."""
    good = encoded(tone(440, 0.1))
    decoder = AudioDecoder(threading.Event())
    decoder._decode(OPUS, SoundFrame(good[0], 0, 0))
    with contextlib.suppress(av.FFmpegError):
        decoder._decode(OPUS, SoundFrame(data, FRAME, 0))
    (frame,) = decoder._decode(OPUS, SoundFrame(good[2], 2 * FRAME, 0))
    assert frame.samples == FRAME


def test_without_libopus_a_loss_is_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no libopus to be found, FFmpeg decodes, and what is lost is left out."""
    monkeypatch.setattr("rtcstream.transport.audio_receiver.libopus", lambda: None)
    frames = decode(encoded(tone(440, 0.2)), {4})
    assert len(frames) == 9
    assert {frame.samples for frame in frames} == {FRAME}


async def test_what_waits_for_a_lost_packet_does_not_wait_for_another() -> None:
    """The last packet before a pause is heard, though the one before it was lost."""
    transport: Any = SimpleNamespace(
        state="connected",
        _register_rtp_receiver=lambda receiver, parameters: None,
        _unregister_rtp_receiver=lambda receiver: None,
    )
    receiver = AudioReceiver(transport)
    heard: queue.Queue[av.AudioFrame] = queue.Queue()
    receiver.sink = heard.put
    await receiver.receive(RTCRtpReceiveParameters(codecs=[OPUS]))
    try:
        for number, payload in enumerate(encoded(tone(440, 0.08))):
            if number != 2:
                packet = RtpPacket(96, 0, number, number * FRAME, ssrc=1, payload=payload)
                await receiver._handle_rtp_packet(packet, 0)
        frames = [await asyncio.to_thread(heard.get, timeout=5) for _ in range(4)]
    finally:
        await receiver.stop()
    assert [frame.pts for frame in frames] == [0, FRAME, 2 * FRAME, 3 * FRAME]
