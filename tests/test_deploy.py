"""What is in deploy/: the unit, the image, and the script that tries its steps."""

import ast
import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from rtcstream import Image, Stream, __main__
from rtcstream.server import ServerOptions, listening
from tests.waiting import until

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def same(image: Image) -> Image:
    return image


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each with what follows it."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


def test_the_command_lines_are_ours() -> None:
    """The unit and the image start the server with options that it has."""
    unit = (DEPLOY / "rtcstream.service").read_text().replace("\\\n", " ")
    [started] = re.findall(r"^ExecStart=(.*)$", unit, re.M)
    words = shlex.split(started.replace("$ARGS", ""))
    assert words[1:3] == ["-m", "rtcstream"]
    options = __main__.parser().parse_args(words[3:])
    [stopping] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)
    assert 0 < options.drain_timeout < float(stopping)
    [command] = [json.loads(rest) for name, rest in instructions() if name == "CMD"]
    assert __main__.parser().parse_args(command).drain_timeout < 10  # what Docker waits for


async def test_the_health_check_is_one() -> None:
    """The image's check passes where the server is up, and fails where there is none."""
    [check] = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    _, option, code = ast.literal_eval(check[check.index("[") :])
    assert option == "-c"

    async def status(url: str) -> int:
        asked = code.replace("http://127.0.0.1:8080/", url)
        assert asked != code
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", asked, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait()

    async with listening(Stream(same), ServerOptions(port=0)) as url:
        assert await status(url) == 0
    assert await status(url) != 0


def test_the_image_has_what_it_copies() -> None:
    """What the build's context lets through is all that the package is made of, and is there."""
    let_in = re.findall(r"^!(.+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.M)
    assert all((ROOT / name).exists() for name in let_in)
    linked = {path.name for path in (ROOT / "rtcstream").iterdir() if path.is_symlink()}
    assert {"rtcstream", "pyproject.toml", "constraints.txt", "README.md", *linked} <= {*let_in}
    assert ("USER", "10001") in instructions()


def test_the_script_is_one() -> None:
    """The script that tries the image's steps installs what the Dockerfile does."""
    script = DEPLOY / "try-image.sh"
    if bash := shutil.which("bash"):
        subprocess.run([bash, "-n", str(script)], check=True)
    [steps] = [rest for name, rest in instructions() if "apt-get install" in rest]
    packages = re.findall(r"\blib\w+(?:-[\d.]+)?", steps[: steps.index("rm -rf")])
    assert packages
    assert all(package in script.read_text() for package in packages)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    """systemd finds nothing wrong with the unit, and its exposure is small."""
    unit = tmp_path / "rtcstream.service"
    text = (DEPLOY / "rtcstream.service").read_text()
    unit.write_text(text.replace("/opt/rtcstream/bin/python", sys.executable))
    got = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    ours = [line for line in got.stderr.splitlines() if "rtcstream.service" in line]
    assert not ours
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    got = subprocess.run(command, capture_output=True, text=True)
    assert got.returncode == 0, got.stdout


NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")

CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/a;
    proxy_temp_path {folder}/b;
    fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d;
    scgi_temp_path {folder}/e;
    {server}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@asynccontextmanager
async def nginx(folder: Path, upstream: str) -> AsyncIterator[str]:
    """nginx with what docs/deploy.md has for it, in front of a server; its address."""
    [block] = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.S)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=example.com"),
        *("-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    port = free_port()
    block = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    block = re.sub(r"http2 on;.*", "", block)  # Debian's nginx is older
    block = block.replace("/etc/ssl/example.com.pem", str(certificate))
    block = block.replace("/etc/ssl/example.com.key", str(key))
    block = block.replace("http://127.0.0.1:8080/", upstream)
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, server=block))
    if NGINX is None:
        pytest.fail("no nginx: `make test` installs it")
    process = await asyncio.create_subprocess_exec(
        *(NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "errors"))
    )
    try:
        await until(lambda: (folder / "pid").exists() or process.returncode is not None)
        assert process.returncode is None, (folder / "errors").read_text()
        yield f"https://127.0.0.1:{port}/effect/"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_nginx_as_the_docs_have_it(tmp_path: Path) -> None:
    """Behind the nginx of docs/deploy.md the page, its description and offers come through, events
    come as they are sent, and neither metrics nor strangers' hosts do."""
    stream = Stream(same, concurrency_limit=1)
    options = ServerOptions(
        port=0, cors_origins=["https://example.com"], admin_token="a-token-that-nobody-guesses"
    )
    async with (
        listening(stream, options) as upstream,
        nginx(tmp_path, upstream) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as client,
    ):
        headers = {"Host": "example.com", "Origin": "https://example.com"}
        for path, status in (
            ("", 200),
            ("stream.json", 200),
            ("healthz", 200),
            ("readyz", 200),
            ("metrics", 404),
            ("admin/", 200),
            ("admin/state.json", 401),
        ):
            async with client.get(url + path, headers=headers) as response:
                assert response.status == status, path
        sdp = headers | {"Content-Type": "application/sdp"}
        async with client.post(url + "session", headers=sdp, data="v=0\r\n") as response:
            assert response.status == 400
            assert response.content_type == "application/problem+json"
        async with client.get(url, headers={"Host": "evil.example"}) as response:
            assert response.status == 403
        async with client.get(url + "queue", headers=headers) as response:
            line = await asyncio.wait_for(response.content.readline(), 5)
            assert line.startswith(b'data: {"ticket"'), "while there is more to come"
