"""coturn, which can be killed and started again."""

import asyncio
import shutil
from pathlib import Path

from benchmarks.measure import BenchmarkError

SECRET = "north"
PORT = 3478
LISTEN_SECONDS = 10.0


class Coturn:
    """A TURN server at an address of this machine, inside ``async with``; it shares ``SECRET``
    with who gives credentials. Raises BenchmarkError."""

    def __init__(self, address: str, folder: Path, port: int = PORT) -> None:
        self.url = f"turn:{address}:{port}"
        self._address, self._port = address, port
        self._config = folder / "turnserver.conf"
        self._process: asyncio.subprocess.Process | None = None
        folder.mkdir()
        self._config.write_text(
            f"use-auth-secret\nstatic-auth-secret={SECRET}\nrealm=rtcstream.test\n"
            f"listening-ip={address}\nrelay-ip={address}\nlistening-port={port}\n"
            f"no-cli\nno-tls\nno-dtls\nrelay-threads=1\nlog-file=stdout\n"
            f"pidfile={folder / 'pid'}\nuserdb={folder / 'db'}\n"
        )

    async def __aenter__(self) -> "Coturn":
        await self.start()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Returns when it listens."""
        executable = shutil.which("turnserver")
        if executable is None:
            raise BenchmarkError("there is no turnserver on the PATH: install coturn")
        self._process = await asyncio.create_subprocess_exec(
            *(executable, "-c", str(self._config)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(LISTEN_SECONDS):
            while not await self._listens():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """Without goodbye."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self._address, self._port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True
