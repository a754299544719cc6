"""Many sessions that change their controls all the time: none sees anything of another."""

import asyncio
import json
import re
from contextlib import AsyncExitStack

import numpy as np
import pytest

from rtcstream import Stream, testing
from rtcstream.negotiator import Sessions
from rtcstream.runner import Isolation
from tests import hammered
from tests.pictures import scene

SESSIONS = 200
AT_ONCE = 20
"""Sessions that are being connected."""
ROUNDS = 4
PICTURE = scene(32, 32)
SOUND = np.zeros((2, 4800), np.float32)
NUMBERS = re.compile(r'session (\d+) |"mark": ?(\d+)\d{3}[,}]|"(?:owners|instance)": ?\[([^]]*)\]')


class Visitor:
    """Number ``number``, from 1: its marks are so many thousands, its text has it in it."""

    def __init__(self, number: int, peer: testing.TestPeer) -> None:
        self.number = number
        self.peer = peer
        self.strange: list[str] = []
        """Messages that name another, or a result that does not name itself."""
        peer._channel.on("message", self._check)

    def _check(self, text: str) -> None:
        named = {each for found in NUMBERS.findall(text) for each in found if each}
        message = json.loads(text)
        if message["type"] == "result":
            assert self.peer.session is not None
            named |= {str(self.number)} if message["data"]["id"] == self.peer.session.id else {"?"}
        if named - {str(self.number)} or (message["type"] == "result" and not named):
            self.strange.append(text)

    def send(self) -> None:
        for kind in self.peer._senders:
            self.peer.send(PICTURE) if kind == "video" else self.peer.send_sound(SOUND)

    async def hammer(self) -> None:
        own = {"text": f"session {self.number} ", "fail": False}
        for round in range(ROUNDS):
            values = {"mark": 1000 * self.number + round, **own}
            assert await self.peer.set(**values) == values
            assert self.peer.session is not None
            assert self.peer.session.values.to_json() == values
            self.send()
            waiting = set(self.peer._senders)
            async with asyncio.timeout(self.peer.timeout):
                while waiting:
                    result = await self.peer.result()
                    if result["mark"] == values["mark"]:
                        waiting -= {result["kind"]}
        if self.number % 3 == 0:
            await self.peer.set(fail=True)
            self.send()
            for kind in self.peer._senders:
                log = await self.peer.message("log", level="error")
                assert f"of session {self.number} " in log["message"], kind


async def hammered_by(sessions: Sessions, count: int) -> list[Visitor]:
    """So many visitors at the same time, when they have done all they do."""
    async with AsyncExitStack() as stack:
        connecting = asyncio.Semaphore(AT_ONCE)

        async def come(number: int) -> Visitor:
            first = {"mark": 1000 * number, "text": f"session {number} "}
            async with connecting:
                peer = await stack.enter_async_context(
                    testing.connect(sessions, controls=first, timeout=30)
                )
            return Visitor(number, peer)

        visitors = await asyncio.gather(*(come(number + 1) for number in range(count)))
        assert len(sessions) == count
        await asyncio.gather(*(visitor.hammer() for visitor in visitors))
        return visitors


@pytest.mark.slow
async def test_two_hundred_sessions() -> None:
    """Each has its own values, state, instance, results and errors, and nothing of the others."""
    visitors = await hammered_by(Stream(hammered.Instance).sessions(), SESSIONS)
    assert not [text for visitor in visitors for text in visitor.strange]


@pytest.mark.parametrize(("isolation", "count"), [("thread", 20), ("process", 4)])
async def test_sessions_of_two_functions(isolation: Isolation, count: int) -> None:
    """So it is where pictures and sound have a function each, here or in worker processes."""
    both = Stream(video=hammered.of_pictures, audio=hammered.of_sound, isolation=isolation)
    visitors = await hammered_by(both.sessions(), count)
    assert not [text for visitor in visitors for text in visitor.strange]
