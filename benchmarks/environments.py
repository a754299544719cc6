"""The peers that rtcstream is compared with, each in a virtual environment of its own."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

ENVIRONMENTS = Path(__file__).parent / ".envs"

PEERS = {"fastrtc": ("fastrtc", "opencv-python-headless")}
"""What is installed: the newest from the package index, and what the functions need."""


def python(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made when it is not there yet.

    Delete its folder for a newer release. Raises subprocess.CalledProcessError.
    """
    folder = ENVIRONMENTS / peer
    made = folder / "made"
    interpreter = folder / "bin" / "python"
    if not made.exists():
        print(f"setting up {folder} (this once; it takes a minute)", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = (interpreter, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        subprocess.run((*install, "--upgrade", *PEERS[peer]), check=True)
        made.touch()
    return interpreter


def version(peer: str) -> str:
    """The release of a peer that is installed."""
    code = "import sys, importlib.metadata; print(importlib.metadata.version(sys.argv[1]))"
    command = (python(peer), "-c", code, PEERS[peer][0])
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
