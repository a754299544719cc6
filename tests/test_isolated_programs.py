"""Programs whose functions run in worker processes: found there, and ended with the server."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiortc import RTCDataChannel, RTCSessionDescription

from rtcstream.media import to_frame
from rtcstream.transport.clock import VIDEO_TIME_BASE
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.transport.peer import PeerConnection
from rtcstream.transport.sender import VideoSender
from tests.waiting import until

PROGRAM = """
import ctypes
import os
import sys
import time
from pathlib import Path

from rtcstream import Image, Stream

class Model:
    def __call__(self, image: Image) -> tuple[Image, int]:
        written = Path(__file__).with_name("pid.new")
        written.write_text(f"{os.getpid()} {os.getppid()}")
        written.replace(Path(__file__).with_name("pid"))  # who looks sees all of it
        if "hang" in sys.argv:
            ctypes.PyDLL(None).pause()  # holds the interpreter: no thread of it runs any more
        return image, os.getpid()

    def close(self):
        Path(__file__).with_name("closed").write_text("yes")

stream = Stream(Model, isolation="process")

if __name__ == "__main__":
    stream.run(port=0)
"""


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A program that serves, and its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        yield process, next(word for word in line.split() if word.startswith("http://"))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def visiting(url: str) -> AsyncIterator[RTCDataChannel]:
    """A visitor who sends pictures; the channel that it is told results on."""
    connection = PeerConnection(IceOptions(addresses=LOOPBACK))
    transceiver = connection.addTransceiver("video", "sendrecv")
    channel = connection.createDataChannel("rtcstream")
    assert isinstance(transceiver.sender, VideoSender)
    slot = transceiver.sender.slot

    async def film() -> None:
        pts = 0
        while True:
            frame = to_frame(np.full((48, 64, 3), 90, np.uint8), "bgr24")
            pts += 3000
            frame.pts, frame.time_base = pts, VIDEO_TIME_BASE
            slot.put(frame)
            await asyncio.sleep(1 / 30)

    filming = asyncio.create_task(film())
    try:
        await connection.setLocalDescription(await connection.createOffer())
        headers = {"Content-Type": "application/sdp"}
        offer = connection.localDescription.sdp
        async with (
            aiohttp.ClientSession() as client,
            client.post(url + "session", data=offer, headers=headers) as response,
        ):
            answer = RTCSessionDescription(sdp=await response.text(), type="answer")
        await connection.setRemoteDescription(answer)
        yield channel
    finally:
        filming.cancel()
        await connection.close_within(2)


def ids(folder: Path) -> tuple[int, int]:
    """The worker process and its server, once it has been called."""
    worker, server = (folder / "pid").read_text().split()
    return int(worker), int(server)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("way", ["program", "command line", "not its name"])
async def test_a_program_with_processes(way: str, tmp_path: Path) -> None:
    """A function of `python app.py`, and of `python -m rtcstream app.py`, runs in a process, is
    closed at the end of the server, and leaves none."""
    program = tmp_path / ("json.py" if way == "not its name" else "app.py")
    program.write_text(PROGRAM)
    command = [str(program)] if way == "program" else ["-m", "rtcstream", str(program)]
    command += ["--port", "0"] if way != "program" else []
    if way == "not its name":  # a standard module has it already
        command[0:0] = ["-P"]
    async with running(*command) as (process, url):
        async with visiting(url):
            await until((tmp_path / "pid").exists)
            worker, server = ids(tmp_path)
            assert server == process.pid
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
        await until(lambda: gone(worker))
        assert (tmp_path / "closed").read_text() == "yes"
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_process_outlives_its_server(number: signal.Signals, tmp_path: Path) -> None:
    """A function that hangs and holds the interpreter ends with the server, also when that is
    killed; nothing is left in /dev/shm."""
    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    shared = sorted(os.listdir("/dev/shm"))
    async with (
        running("-m", "rtcstream", str(program), "--port", "0", "--", "hang") as (process, url),
        visiting(url),
    ):
        await until((tmp_path / "pid").exists)
        worker, _ = ids(tmp_path)
        workers = children(process.pid)
        assert worker in workers
        started = time.monotonic()
        process.send_signal(number)
        await asyncio.wait_for(process.wait(), 10)
        assert time.monotonic() - started < 2.5
        await until(lambda: all(gone(pid) for pid in workers))
    assert sorted(os.listdir("/dev/shm")) == shared


def children(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if status.read_text().rpartition(")")[2].split()[1] == str(parent):
                found.append(int(status.parent.name))
    return found
