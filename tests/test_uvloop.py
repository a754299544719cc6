"""uvloop, where it is installed: the server takes it, and everything works under it."""

import asyncio
import logging
import re
import signal
import sys
from collections.abc import Callable

import numpy as np
import pytest

from rtcstream import Image, Stream, server, testing
from rtcstream.transport import rtp_writer
from tests.pictures import scene
from tests.waiting import until

if sys.platform == "win32":
    pytest.skip("there is no uvloop for Windows", allow_module_level=True)


def negative(image: Image, on: bool = True) -> Image:
    """The picture, inverted if so set."""
    return 255 - image if on else image


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the server's event loop, which is uvloop's."""
    made = server.loop_factory()
    assert made is not None, "the extra `uvloop` is part of `dev`"
    return made


async def test_session_under_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, controls and the end work, and packets are still handed to the kernel together."""
    together: list[bool] = []
    put = rtp_writer.RtpWriter._put_together

    def watched(self: rtp_writer.RtpWriter, packets: list[memoryview], address: object) -> bool:
        together.append(put(self, packets, address))
        return together[-1]

    monkeypatch.setattr(rtp_writer.RtpWriter, "_put_together", watched)

    async def visit() -> None:
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        sessions = Stream(negative).sessions()
        async with testing.connect(sessions) as peer:
            assert np.abs((await peer.apply(scene())).astype(int) - (255 - scene())).mean() < 15
            assert await peer.set(on=False) == {"on": False}
            assert np.abs((await peer.apply(scene())).astype(int) - scene()).mean() < 15
        await until(lambda: not len(sessions))

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(visit())

    await asyncio.to_thread(run)
    if sys.platform == "linux":
        assert any(together)


def test_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A line at "info" tells which event loop it is."""
    with caplog.at_level(logging.INFO, "rtcstream"):
        loop_factory()().close()
    assert "uvloop" in caplog.text


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, asyncio's own loop serves."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert server.loop_factory() is None


async def test_server_begins_and_ends() -> None:
    """The command line serves under it, and SIGTERM ends it in order."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtcstream", "loopback", "--port", "0", "--log-level", "info"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert re.search(rb"http://\S+", await process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    _, log = await process.communicate()
    assert process.returncode == 0, log
    assert b"uvloop" in log
