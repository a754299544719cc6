"""One visitor: a real peer that sends encoded pictures and counts those that come back."""

import asyncio
import functools
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp

from rtcstream.door import TICKET
from rtcstream.negotiator import RESUME
from rtcstream.synthetic import encode, scene
from rtcstream.transport.replay import ReplayPeer

FPS = 10.0
PATIENCE = 60.0
"""Seconds that a visitor waits for anything: machines that are tested on are busy."""

SILENCE = 16.0
"""Seconds after which the server has given up who is gone, or never came."""
FORGET = 31.0
"""Seconds after which it keeps nothing for such a one any more."""

INPUTS = {"watched": (), "shared": (), "both": ("video", "audio")}
"""What streams take, but for those that take pictures."""


class Refused(Exception):
    """An HTTP answer that is not what was to come."""

    def __init__(self, what: str, status: int, text: str) -> None:
        super().__init__(f"{what}: {status} {text[:300]}")
        self.status = status


@functools.cache
def clip() -> tuple[bytes, ...]:
    """A second of 160x120, each half a second a keyframe."""
    pictures = [picture[::4, ::4] for picture in scene()[::9]]
    half = len(pictures) // 2
    return tuple(encode(pictures[:half]) + encode(pictures[half:]))


class Visitor(ReplayPeer):
    """``returned`` counts pictures that are answers to those sent; of a generator, all."""

    def __init__(self, url: str, stream: str, http: aiohttp.ClientSession) -> None:
        self.stream = stream
        inputs = INPUTS.get(stream, ("video",))
        super().__init__(inputs, clip(), FPS)
        self.returned = 0
        self.values: dict[str, Any] = {}
        self.results: deque[Any] = deque(maxlen=100)
        self.said: deque[str] = deque(maxlen=100)
        """The log of the page."""
        self.ended: str | None = None
        """The reason that the server told."""
        self.location = ""
        self._takes = bool(inputs)
        self._url = f"{url}{stream}/"
        self._http = http
        self._seq = 0
        self._replies: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Event()
        self._connection.on("connectionstatechange", self._changed.set)

    async def join(
        self, query: str = "", ticket: str | None = None, resume: str | None = None
    ) -> None:
        """Open a session. Raises Refused."""
        headers = {} if ticket is None else {TICKET: ticket}
        headers |= {} if resume is None else {RESUME: resume}
        await self.connect(lambda offer: self._post(offer, query, headers))

    async def only_offer(self) -> None:
        """Open a session that is never connected. Raises Refused."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        await self._post(self._connection.localDescription.sdp, "", {})

    async def _post(self, offer: str, query: str, more: dict[str, str]) -> str:
        headers = {"Content-Type": "application/sdp", **more}
        url = f"{self._url}session{query}"
        async with self._http.post(url, data=offer, headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise Refused(f"POST {self.stream}", response.status, text)
            self.location = response.headers["Location"]
            return text

    @property
    def session(self) -> str:
        return self.location.rpartition("/")[2]

    async def delete(self) -> None:
        """Say goodbye as a page does. Raises Refused."""
        async with self._http.delete(self._url + self.location) as response:
            if response.status != 200:
                raise Refused(f"DELETE {self.stream}", response.status, await response.text())

    async def watch(self, pictures: int) -> None:
        """Until so many more pictures have come back."""
        wanted = self.returned + pictures
        await self.until(lambda: self.returned >= wanted, f"{pictures} pictures")

    async def set(self, **values: Any) -> None:
        """Change controls, and wait until they are acknowledged. Raises ValueError if not."""
        await self.until(lambda: self.channel.readyState == "open", "the channel")
        self._seq += 1
        seq = self._seq
        self.channel.send(json.dumps({"type": "set", "seq": seq, "values": values}))
        await self.until(lambda: seq in self._replies, f"the answer to {values}")
        reply = self._replies.pop(seq)
        if reply["type"] == "error":
            raise ValueError(reply["message"])

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            state = self._connection.connectionState
            raise TimeoutError(
                f"{self.stream}: {what} did not come in {PATIENCE:g} s; {state}, "
                f"sent {self.sent}, received {self.received}, ended {self.ended}"
            ) from None

    @property
    def state(self) -> str:
        """The connection's."""
        return self._connection.connectionState

    async def vanish(self) -> None:
        """Close the sockets under everything, then clear up here: nobody is told."""
        for transport in {t.receiver.transport for t in self._connection.getTransceivers()}:
            for protocol in transport.transport._connection._protocols:
                protocol.transport.abort()
        await self.close()

    def take_message(self, message: dict[str, Any]) -> None:
        if message["type"] in ("controls", "error") and message["seq"] is not None:
            self._replies[message["seq"]] = message
        if message["type"] == "controls":
            self.values = message["values"]
        elif message["type"] == "log":
            self.said.append(message["message"])
        elif message["type"] == "result":
            self.results.append(message["data"])
        elif message["type"] == "end":
            self.ended = message["reason"]
        self._changed.set()

    def _note_received(self, timestamp: int) -> None:
        if not self._takes or timestamp in self._leaving:
            self.returned += 1
        super()._note_received(timestamp)
        self._changed.set()
