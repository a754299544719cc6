"""Headless Firefox by WebDriver BiDi (W3C), which Debian's build speaks without a driver."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

PREFERENCES = {
    "media.navigator.streams.fake": True,  # a camera of moving colours
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    # Nothing of its own on the network.
    "app.update.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
TIMEOUT = 40.0


class Firefox:
    """One page of a running browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._commands = 0
        self._context = ""

    async def command(self, method: str, **parameters: Any) -> Any:
        self._commands += 1
        number = self._commands
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(TIMEOUT):
            while True:
                reply = await self._socket.receive_json()
                if reply.get("id") == number:
                    assert reply["type"] == "success", reply
                    return reply["result"]

    async def open(self, url: str) -> None:
        """Go to an address, and wait until it has loaded."""
        await self.command("session.new", capabilities={})
        tree = await self.command("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]
        await self.command(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def evaluate(self, expression: str) -> Any:
        """A JavaScript expression's value, through JSON; promises are awaited."""
        reply = await self.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert reply["type"] == "success", reply
        value = reply["result"].get("value")
        return None if value is None else json.loads(value)

    async def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true, looked at with each picture that is painted."""
        return await self.evaluate(
            "new Promise((resolve, reject) => {"
            f"  const end = performance.now() + {TIMEOUT * 750};"
            "  const look = () => {"
            f"    const value = ({expression});"
            "    if (value) resolve(value);"
            f"    else if (performance.now() > end) reject(new Error({json.dumps(expression)}));"
            "    else setTimeout(look, 20);"
            "  };"
            "  look();"
            "})"
        )


@contextlib.asynccontextmanager
async def firefox(profile: Path) -> AsyncIterator[Firefox]:
    """A Firefox with its profile in an empty folder, to the end of the block."""
    executable = shutil.which("firefox-esr") or shutil.which("firefox")
    if executable is None:
        pytest.fail("no `firefox-esr` on the PATH: `make test` installs it")
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    process = await asyncio.create_subprocess_exec(
        *(executable, "--headless", "--no-remote", "--profile", str(profile)),
        *("--remote-debugging-port", "0"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(profile)},
        start_new_session=True,  # it has children, which end with it
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            address = None
            while address is None:
                line = (await process.stderr.readline()).decode(errors="replace")
                assert line, "Firefox ended before it listened"
                address = re.search(r"ws://\S+", line)
        draining = asyncio.create_task(process.stderr.read())
        url = f"{address[0]}/session"
        async with aiohttp.ClientSession() as client, client.ws_connect(url) as socket:
            yield Firefox(socket)
        draining.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
