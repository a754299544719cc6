"""The wheel and the source distribution: what is inside, and that the installed package runs.

The slowest file of all: it installs the wheel, with all that it depends on, into an empty
environment, as a user would.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
LINKED = ("signaling", "static", "examples")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and with the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)])
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("rtcstream-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment outside the checkout that holds the wheel and nothing else."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", "-c", str(ROOT / "constraints.txt"), str(wheel)])
    run([*pip, "check"])
    return python


def run(command: list[str], cwd: Path | None = None) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}:\n{result.stdout}{result.stderr}"
    return result.stdout


def checkout_files(folder: str) -> set[str]:
    """The files of a linked folder by their names in the package, less the tools' caches."""
    return {
        f"rtcstream/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not re.search(r"/(\.|__pycache__)", f"/{path.relative_to(ROOT)}")
    }


def test_the_wheel_holds_one_import_package(wheel: Path) -> None:
    """The wheel installs `rtcstream` and its metadata, and nothing else at the top level."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert tops == {"rtcstream", f"rtcstream-{wheel.name.split('-')[1]}.dist-info"}
    assert "rtcstream/__main__.py" in names
    assert "rtcstream/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


@pytest.mark.parametrize("folder", LINKED)
def test_the_wheel_holds_the_linked_folders(wheel: Path, folder: str) -> None:
    """What the checkout reaches through a symbolic link is inside the package in the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert checkout_files(folder)
    assert checkout_files(folder) <= names


@pytest.mark.parametrize("folder", LINKED)
def test_the_source_distribution_holds_the_linked_folders(distributions: Path, folder: str) -> None:
    """The source distribution has plain folders where the checkout has symbolic links."""
    (archive,) = distributions.glob("rtcstream-*.tar.gz")
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
    names = [member.name.partition("/")[2] for member in members]
    assert checkout_files(folder) <= set(names)
    assert len(names) == len(set(names))
    assert all(member.isfile() for member in members)


def test_the_installed_package_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Outside the checkout, the package and its linked folders are the environment's own."""
    code = "import rtcstream.signaling as s, sys; print(s.__file__, '\\n', *sys.path)"
    where = run([str(installed), "-c", code], cwd=tmp_path)
    assert str(ROOT) not in where
    assert str(installed.parent.parent) in where


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An example run as a user would, and the address that it prints."""
    command = [str(installed), "-m", "rtcstream", "webcam_filter"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if address := re.search(r"webcam_filter on (http://127\.0\.0\.1:[1-9]\d*/)", line):
                yield process, address[1]
                return
        pytest.fail(f"it ended without an address; it printed:\n{printed}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_an_installed_example_runs(served: tuple[subprocess.Popen[str], str]) -> None:
    """`python -m rtcstream webcam_filter` from any folder serves the stream and its page."""
    _, address = served
    with urllib.request.urlopen(address + "stream.json", timeout=10) as answer:
        described = json.load(answer)
    assert described["version"] == 1
    assert described["inputs"] == ["video"]
    assert "video" in described["outputs"]
    assert "mode" in [control["name"] for control in described["controls"]]
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers.get_content_type() == "text/html"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_an_installed_example(served: tuple[subprocess.Popen[str], str]) -> None:
    """Ctrl-C ends the server within two seconds, without a traceback."""
    process, _ = served
    assert process.stdout
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    rest = process.stdout.read()
    process.wait()
    assert time.monotonic() - pressed < 2.0
    assert "Traceback" not in rest
