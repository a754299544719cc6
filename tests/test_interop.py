"""A peer that is aiortc as it comes, over HTTP: what somebody else's client sees."""

import asyncio
import json
from fractions import Fraction
from typing import Any, Literal

import aiohttp
import av
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from yarl import URL

from rtcstream import Image, Stream
from tests.conftest import Leaks, Serve
from tests.pictures import difference, plain, scene


class Camera(MediaStreamTrack):
    """Thirty pictures a second of one scene."""

    kind = "video"
    count = 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / 30)
        frame = av.VideoFrame.from_ndarray(scene(), format="bgr24")
        self.count += 1
        frame.pts, frame.time_base = self.count * 3000, Fraction(1, 90_000)
        return frame


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda *args, **kwargs: ["127.0.0.1"])


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
async def test_stock_aiortc_client(
    codec: Literal["video/VP8", "video/H264"], serve: Serve, leaks: Leaks
) -> None:
    """Offer, answer, pictures, controls and DELETE work with either codec, odd sizes included."""

    def crop(image: Image, part: Literal["all", "odd"] = "all") -> Image:
        return image[::-1] if part == "all" else plain((40, 200, 40), 101, 77)

    async with leaks(), serve(Stream(crop)) as url, aiohttp.ClientSession() as http:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        client.addTrack(Camera())
        [transceiver] = client.getTransceivers()
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([c for c in capabilities if c.mimeType == codec])
        channel = client.createDataChannel("rtcstream")
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        channel.on("message", lambda text: messages.put_nowait(json.loads(text)))
        await client.setLocalDescription(await client.createOffer())
        headers = {"Content-Type": "application/sdp"}
        offer = client.localDescription.sdp
        async with http.post(url + "session", data=offer, headers=headers) as response:
            assert response.status == 201
            assert response.content_type == "application/sdp"
            assert response.headers["ETag"]
            location = response.url.join(URL(response.headers["Location"]))
            answer = RTCSessionDescription(sdp=await response.text(), type="answer")
        await client.setRemoteDescription(answer)
        track = transceiver.receiver.track

        async def picture(shape: tuple[int, int, int]) -> Any:
            async with asyncio.timeout(10):
                while True:
                    frame = await track.recv()
                    assert isinstance(frame, av.VideoFrame)
                    array = frame.to_ndarray(format="bgr24")
                    if array.shape == shape:
                        return array

        assert difference(await picture((480, 640, 3)), scene()[::-1]) < 12
        channel.send(json.dumps({"type": "set", "seq": 1, "values": {"part": "odd"}}))
        async with asyncio.timeout(10):
            while True:
                message = await messages.get()
                if message["type"] == "controls" and message["seq"] == 1:
                    break
        assert message["values"] == {"part": "odd"}
        even = (78, 102, 3)  # H.264 cannot say odd sizes: the last row and column are there twice
        odd = await picture((77, 101, 3) if codec == "video/VP8" else even)
        assert difference(odd, plain((40, 200, 40), odd.shape[1], odd.shape[0])) < 12
        async with http.delete(location) as response:
            assert response.status == 200
        async with http.delete(location) as response:
            assert response.status == 404
        await client.close()
