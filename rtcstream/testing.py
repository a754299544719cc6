"""Test a function as a stream, without a browser: a WebRTC peer in the same process.

>>> import numpy as np
>>> from rtcstream import Image, Stream, testing
>>> def flip(image: Image) -> Image:
...     return image[::-1]
>>> [picture] = testing.run(Stream(flip), [np.zeros((48, 64, 3), np.uint8)])
>>> picture.shape
(48, 64, 3)

Pictures travel as in a real call, through a codec, so they come back nearly as they were:
compare with a tolerance. All traffic stays on the loopback interface.
"""

import asyncio
import contextlib
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, TypeVar

import av
import numpy as np
from aiortc import RTCDataChannel, RTCSessionDescription
from numpy.typing import NDArray

from . import media
from .annotations import SAMPLE_RATE
from .door import TICKET
from .errors import ControlError, SessionClosed
from .negotiator import Sessions
from .samples import FULL_SCALE, Mixer
from .session import MediaSession
from .stream import Stream
from .transport.audio_receiver import AudioReceiver
from .transport.bitrate import Bitrate
from .transport.clock import VIDEO_TIME_BASE
from .transport.ice import LOOPBACK, IceOptions
from .transport.peer import PeerConnection
from .transport.receiver import VideoReceiver
from .transport.sender import AudioSender, VideoSender
from .types import Peer

FRAME_TICKS = 3000  # 1/30 s

LOCAL = IceOptions(addresses=LOOPBACK)

T = TypeVar("T")


class TestPeer:
    """The visitor's end of a session, made by ``connect``.

    ``pictures`` holds the last 100 that came, each BGR and after its 32-bit RTP timestamp;
    ``sound`` the last minute that was not heard, each part (s16, of shape (n, 2)) after its
    timestamp; ``messages`` the last 100 that were not awaited; ``values`` the controls as last
    acknowledged. ``session`` is the server's end, ``timeout`` the bound of each wait in seconds.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(self, connection: PeerConnection, channel: RTCDataChannel, timeout: float) -> None:
        self.pictures: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=100)
        self.messages: deque[dict[str, Any]] = deque(maxlen=100)
        self.sound: deque[tuple[int, NDArray[np.int16]]] = deque(maxlen=3000)
        self.values: dict[str, Any] = {}
        self.session: MediaSession | None = None
        self.timeout = timeout
        self._connection = connection
        self._channel = channel
        self._arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pts = random.getrandbits(32)
        self._sound_origin = random.getrandbits(32)
        self._seq = 0
        self._sent_sound = 0
        self._senders: dict[str, VideoSender | AudioSender] = {}
        self._mixer = Mixer()
        channel.on("message", self._on_message)

    def offer_media(self, kind: str, direction: str) -> None:
        """Offer to send or receive ``"video"`` or ``"audio"``."""
        transceiver = self._connection.addTransceiver(kind, direction)
        sender, receiver = transceiver.sender, transceiver.receiver
        assert isinstance(sender, VideoSender | AudioSender)
        if isinstance(sender, VideoSender):
            sender.limits = Bitrate(start=20_000_000)  # no picture is left out or made smaller
        self._senders[kind] = sender
        if isinstance(receiver, VideoReceiver):
            receiver.sink = self._on_frame
        elif isinstance(receiver, AudioReceiver):
            receiver.sink = self._on_sound

    def close(self) -> None:
        """End what waits to be sent."""
        for sender in self._senders.values():
            sender.close_source()

    def send(self, image: NDArray[Any]) -> int:
        """Send one camera picture, BGR; returns its 32-bit RTP timestamp on the wire."""
        frame = media.to_frame(image, "bgr24")
        self._pts += FRAME_TICKS
        frame.pts, frame.time_base = self._pts, VIDEO_TIME_BASE
        sender = self._senders["video"]
        assert isinstance(sender, VideoSender)
        sender.slot.put(frame)
        return self._pts & 0xFFFFFFFF

    def send_sound(self, samples: NDArray[Any]) -> int:
        """Send sound at 48 kHz, at once and however long; returns its position in samples.

        A function gets two seconds at most that it has not taken: send longer sound in parts, as a
        microphone would. Whole frames of 20 ms leave; the rest waits for more.
        """
        sender = self._senders["audio"]
        assert isinstance(sender, AudioSender)
        stereo = self._mixer.mix(samples, SAMPLE_RATE)
        position = self._sent_sound
        self._sent_sound += len(stereo)
        sender.queue.write(stereo, self._sound_origin + position)
        return position

    async def hear(self, seconds: float) -> NDArray[np.float32]:
        """The next sound that came, exactly so much: float32 ``(2, n)`` at 48 kHz."""
        count = round(seconds * SAMPLE_RATE)

        def find() -> NDArray[np.float32] | None:
            if sum(len(part) for _, part in self.sound) < count:
                return None
            whole = np.concatenate([part for _, part in self.sound])
            end = self.sound[-1][0] + len(self.sound[-1][1])
            self.sound.clear()
            if len(whole) > count:
                self.sound.append((end - (len(whole) - count), whole[count:]))
            return np.asarray(whole[:count].T / FULL_SCALE, np.float32)

        return await self._until(find, f"{seconds:g} s of sound")

    async def apply(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Send one picture and return what the function made of it, BGR.

        Raises TimeoutError, with what the stream said meanwhile, if nothing comes back in time.
        """
        pts = self.send(image)
        return await self._until(
            lambda: next((picture for at, picture in self.pictures if at == pts), None), "a picture"
        )

    async def result(self) -> Any:
        """The data of the next result."""
        return (await self.message("result"))["data"]

    async def message(self, type: str, **match: Any) -> dict[str, Any]:
        """The next message of a type whose fields are as given, removed from ``messages``."""
        return await self._take(
            lambda message: message["type"] == type and match.items() <= message.items(),
            f"a message {type!r} {match or ''}".strip(),
        )

    async def set(self, **values: Any) -> dict[str, Any]:
        """Change controls; returns all values as acknowledged. Raises ControlError if rejected."""
        self._seq += 1
        seq = self._seq
        self.send_text(json.dumps({"type": "set", "seq": seq, "values": values}))
        reply = await self._take(
            lambda message: message["type"] in ("controls", "error") and message["seq"] == seq,
            f"the acknowledgement of set {seq}",
        )
        if reply["type"] == "error":
            raise ControlError(reply["control"], reply["message"])
        acknowledged: dict[str, Any] = reply["values"]
        return acknowledged

    def send_text(self, text: str | bytes) -> None:
        """Send a raw message on the data channel."""
        self._channel.send(text)

    async def _take(self, fits: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            for message in self.messages:
                if fits(message):
                    self.messages.remove(message)
                    return message
            return None

        return await self._until(find, what)

    async def _until(self, find: Callable[[], T | None], what: str) -> T:
        async def wait() -> T:
            while (found := find()) is None:
                if self.session is not None and self.session.closed.is_set():
                    raise SessionClosed(f"the session ended while waiting for {what}")
                self._arrived.clear()
                await self._arrived.wait()
            return found

        try:
            return await asyncio.wait_for(wait(), self.timeout)
        except TimeoutError:
            said = [m for m in self.messages if m["type"] in ("log", "error")]
            raise TimeoutError(f"{what} did not come in {self.timeout:g} s; said: {said}") from None

    # Called on the decoder's thread, the second on the loop

    def _on_frame(self, frame: av.VideoFrame) -> None:
        picture = media.to_array(frame, "bgr24")
        pts = (frame.pts or 0) & 0xFFFFFFFF
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(lambda: self._note(self.pictures, (pts, picture)))

    def _on_sound(self, frame: av.AudioFrame) -> None:
        part = frame.pts or 0, np.asarray(frame.to_ndarray(), np.int16).reshape(-1, 2)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(lambda: self._note(self.sound, part))

    def _on_message(self, text: str) -> None:
        message = json.loads(text)
        if message["type"] == "controls":
            self.values = message["values"]
        self._note(self.messages, message)

    def _note(self, where: deque[Any], item: Any) -> None:
        where.append(item)
        self._arrived.set()


@contextlib.asynccontextmanager
async def connect(
    stream: Stream | Sessions,
    *,
    controls: Mapping[str, Any] | None = None,
    timeout: float = 10.0,
    watch: bool = False,
    ticket: str | None = None,
    resume: str | None = None,
    ice: IceOptions = LOCAL,
) -> AsyncIterator[TestPeer]:
    """A peer connected to a stream, to the end of the ``async with``.

    For several peers of one stream give its ``sessions()``. ``watch`` offers to receive only, as a
    viewer of a shared stream does. ``controls`` are the controls' first values. ``timeout`` bounds,
    in seconds, each wait of the peer's methods. ``ticket`` is what waiting in line has given;
    ``resume`` is the id of a session that was lost, whose state this one is to have; ``ice`` is how
    the server's end is reached. Raises ``signaling.Problem`` if the stream refuses the session.
    """
    sessions = stream if isinstance(stream, Sessions) else stream.sessions()
    connection = PeerConnection(LOCAL)
    channel = connection.createDataChannel("rtcstream")
    opened = asyncio.Event()
    channel.on("open", opened.set)
    peer = TestPeer(connection, channel, timeout)
    for kind in ("video", "audio"):
        if kind in sessions.inputs and not watch:
            peer.offer_media(kind, "sendrecv")
        elif kind in sessions.outputs:
            peer.offer_media(kind, "recvonly")
    try:
        await connection.setLocalDescription(await connection.createOffer())
        headers = {} if ticket is None else {TICKET: ticket}
        query = {name: _query(value) for name, value in (controls or {}).items()}
        session, answer = await sessions.connect(
            connection.localDescription.sdp, query, Peer(None, headers), ice, resume=resume
        )
        peer.session = session
        session.on("closed", lambda reason: peer._arrived.set())
        await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await asyncio.wait_for(opened.wait(), timeout)
        yield peer
    finally:
        if peer.session is not None:
            await peer.session.end("the test peer left")
        peer.close()
        await connection.close_within(2.0)
        if sessions is not stream:
            await sessions.end_all("the test peer left")


def run(
    stream: Stream, images: Iterable[NDArray[Any]], *, timeout: float = 10.0, **controls: Any
) -> list[NDArray[np.uint8]]:
    """Send pictures through a stream one by one; returns what came back for each, BGR."""

    async def main() -> list[NDArray[np.uint8]]:
        async with connect(stream, controls=controls, timeout=timeout) as peer:
            return [await peer.apply(image) for image in images]

    return asyncio.run(main())


def _query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(getattr(value, "name", value))
