"""Functions that are classes, or instances of one: their state, and whose it is."""

import asyncio
import threading
import time

from rtcstream import Image, Stream, testing
from tests.pictures import scene
from tests.waiting import until


async def test_class_is_built_called_and_closed_once_per_session() -> None:
    """A class keeps its state for one session, all on that session's thread."""
    log: list[tuple[str, int, threading.Thread]] = []

    class Counter:
        def __init__(self) -> None:
            self.count = 0
            self.note("built")

        def note(self, what: str) -> None:
            log.append((what, self.count, threading.current_thread()))

        def __call__(self, image: Image) -> tuple[Image, int]:
            self.count += 1
            self.note("called")
            return image, self.count

        def close(self) -> None:
            self.note("closed")

    stream = Stream(Counter)
    for _ in range(2):
        async with testing.connect(stream) as peer:
            for expected in (1, 2):
                await peer.apply(scene())
                assert await peer.result() == expected
            assert {"loading", "running"} <= {
                m["value"] for m in peer.messages if m["type"] == "state"
            }
    await until(lambda: len(log) == 8)
    assert [what for what, _, _ in log[:4]] == ["built", "called", "called", "closed"]
    assert len({thread for _, _, thread in log[:4]}) == 1
    assert log[0][2] is not log[4][2]


async def test_instance_is_shared_and_called_one_at_a_time() -> None:
    """An instance serves all sessions with one state, never two calls at once."""

    class Shared:
        calls = 0
        inside = 0
        most = 0

        def __call__(self, image: Image) -> tuple[Image, int]:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.calls += 1
            time.sleep(0.02)
            self.inside -= 1
            return image, self.calls

    shared = Shared()
    sessions = Stream(shared).sessions()
    async with testing.connect(sessions) as one, testing.connect(sessions) as two:
        for _ in range(5):
            await asyncio.gather(one.apply(scene()), two.apply(scene()))
    assert shared.calls >= 10
    assert shared.most == 1
