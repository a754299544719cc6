"""The encoder's thread and the event loop: what is handed over, what is asked for, and the end."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from rtcstream.media import to_frame
from rtcstream.transport.bitrate import Bitrate
from rtcstream.transport.broadcast import Broadcast, Pictures
from rtcstream.transport.clock import VIDEO_TIME_BASE
from rtcstream.transport.encoder import Encoded
from rtcstream.transport.encoding import KEYFRAME_INTERVAL, VideoEncoding
from rtcstream.transport.slot import Slot
from tests.film import film
from tests.leaks import no_leaks
from tests.pictures import scene
from tests.waiting import until

VP8 = RTCRtpCodecParameters("video/VP8", clockRate=90_000, payloadType=96)


class Viewer:
    """Who is sent frames, and may fail to take them."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.target: int | None = None
        self.fails = fails
        self.got: list[tuple[int, bool]] = []
        self.slow = False

    def deliver(self, encoded: Encoded, pts: int) -> None:
        self.got.append((pts, encoded.keyframe))
        if self.fails is not None:
            raise self.fails

    def set_slow(self, slow: bool) -> None:
        self.slow = slow


async def came(things: list[Any], count: int) -> None:
    """Wait until there are so many."""
    await until(lambda: len(things) >= count)


class Source:
    """A slot with its encoding on the running loop."""

    def __init__(self) -> None:
        self.slot: Slot[Any] = Slot()
        loop = asyncio.get_running_loop()
        self.encoding = VideoEncoding(loop, VP8, self.slot, Bitrate())
        self.pts = 0

    def put(self) -> int:
        [frame] = film(64, 48, 1)
        self.pts += 3000
        frame.pts, frame.time_base = self.pts, VIDEO_TIME_BASE
        self.slot.put(frame)
        return self.pts


async def test_a_viewer_that_fails_harms_no_other() -> None:
    """An error of one viewer, of whatever kind, keeps the frame from nobody else, nor the next."""
    async with no_leaks():
        source, last = Source(), Viewer()
        for viewer in (Viewer(ConnectionError()), last):
            source.encoding.join(viewer)
        for number in range(1, 4):
            source.put()
            await came(last.got, number)
        source.encoding.close()
        await asyncio.wait_for(source.encoding.ended.wait(), 5)


async def test_an_unexpected_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What no viewer should raise is logged, and the frames go on."""
    source, viewer = Source(), Viewer(KeyError("odd"))
    source.encoding.join(viewer)
    for number in (1, 2):
        source.put()
        await came(viewer.got, number)
    source.encoding.close()
    await asyncio.wait_for(source.encoding.ended.wait(), 5)
    assert "a frame could not be sent" in caplog.text


async def test_keyframes_that_many_ask_for() -> None:
    """However often it is asked for, there is one keyframe at once, and one an interval later."""
    source, viewer = Source(), Viewer()
    source.put()
    source.encoding.join(viewer)
    await until(lambda: viewer.got)
    for _ in range(100):
        source.encoding.want_keyframe()
    began = asyncio.get_running_loop().time()
    await until(lambda: len(viewer.got) == 3)
    assert asyncio.get_running_loop().time() - began > KEYFRAME_INTERVAL * 0.9
    assert viewer.got == [(3000, True), (3001, True), (3002, True)], "the same picture, new times"
    source.encoding.close()
    await asyncio.wait_for(source.encoding.ended.wait(), 5)


async def test_a_wish_outlives_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyframe that was asked for comes with the next picture if this one cannot be encoded."""
    source, viewer = Source(), Viewer()
    errors: list[BaseException] = []
    source.encoding.on_error = errors.append
    source.encoding.join(viewer)
    encode = source.encoding._encoder.encode
    wishes: list[bool] = []

    def failing(frame: Any, pts: int, keyframe: bool) -> Encoded | None:
        wishes.append(keyframe)
        if len(wishes) == 1:
            raise ValueError("no luck")
        return None if len(wishes) == 2 else encode(frame, pts, keyframe)

    monkeypatch.setattr(source.encoding._encoder, "encode", failing)
    source.encoding.want_keyframe()
    for number in (1, 2, 3):
        source.put()
        await came(wishes, number)
    await until(lambda: viewer.got)
    assert wishes == [True, True, True]
    assert [str(error) for error in errors] == ["no luck"]
    source.encoding.close()
    await asyncio.wait_for(source.encoding.ended.wait(), 5)


async def test_who_joins_later() -> None:
    """The first picture of all is sent once; who joins later gets a keyframe at once."""
    source, first, second = Source(), Viewer(), Viewer()
    source.put()
    source.encoding.join(first)
    await until(lambda: first.got)
    await asyncio.sleep(0.05)
    assert first.got == [(3000, True)]
    source.encoding.join(second)
    await until(lambda: second.got)
    assert second.got == first.got[1:] == [(3001, True)]
    source.encoding.close()
    await asyncio.wait_for(source.encoding.ended.wait(), 5)


async def test_joining_at_the_end() -> None:
    """Who joins when the thread has ended is sent nothing, and it is no error."""
    source = Source()
    source.encoding.join(Viewer())
    source.encoding.close()
    source.encoding._thread.join(5)
    source.encoding.join(Viewer())
    await asyncio.wait_for(source.encoding.ended.wait(), 5)


def test_a_loop_that_ends_first() -> None:
    """A loop that stops in the middle leaves no thread that waits for it, once it is closed."""

    async def begin() -> Source:
        source = Source()
        source.encoding.join(Viewer())
        source.put()
        return source

    loop = asyncio.new_event_loop()
    source = loop.run_until_complete(begin())
    thread = source.encoding._thread
    source.encoding._sent.acquire()  # what the loop would have been about to deliver
    source.put()
    source.encoding.close()
    loop.close()
    thread.join(5)
    assert not thread.is_alive()
    assert thread not in threading.enumerate()


async def test_encoders_of_a_broadcast_have_frames_of_their_own() -> None:
    """What one encoder writes into a picture is not seen by another, nor by one that comes late."""
    pictures = Pictures()
    first, second = pictures.add(), pictures.add()
    frame = to_frame(scene(), "bgr24")
    frame.pts, frame.time_base = 7000, VIDEO_TIME_BASE
    pictures.put(frame)
    taken = first.take()
    assert taken is frame
    taken.pts = 1
    third = pictures.add()
    for slot in (second, third):
        other = slot.take()
        assert other is not None and other.pts == 7000
        assert np.array_equal(other.to_ndarray(), frame.to_ndarray())


async def test_broadcast_that_has_ended_starts_no_encoder() -> None:
    """An encoding that is asked for after the end ends at once: nothing waits for ever."""
    broadcast = Broadcast(Bitrate(), False, lambda error: None)
    broadcast.close()
    encoding = broadcast.encoding("video", VP8)
    encoding.start()
    await asyncio.wait_for(encoding.ended.wait(), 10)
