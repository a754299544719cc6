"""``--reload``: run the program in a child process, and anew whenever a file of it changes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

SUFFIXES = {".py", ".html", ".js", ".css"}
SKIPPED = {"node_modules", "__pycache__", "venv", "site-packages"}
INTERVAL = 0.5
MOST_FILES = 2000


def run(folders: Iterable[Path], arguments: Sequence[str]) -> int:
    """Run ``python -m rtcstream`` with the arguments until Ctrl-C; returns an exit status."""
    folders = list(folders)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: ended.set())
    while not ended.is_set():
        seen = snapshot(folders)
        # A group of its own, so that Ctrl-C reaches it once: from here.
        child = subprocess.Popen(
            [sys.executable, "-m", "rtcstream", *arguments], start_new_session=True
        )
        try:
            while not ended.wait(INTERVAL) and snapshot(folders) == seen:
                pass
        finally:
            _end(child)
        if not ended.is_set():
            print("A file has changed: starting again.", flush=True)
    return 0


def snapshot(folders: Iterable[Path]) -> dict[str, int]:
    """The modification times of the files that are watched."""
    times: dict[str, int] = {}
    for folder in folders:
        for root, names, files in os.walk(folder, followlinks=False):
            names[:] = [n for n in names if not n.startswith(".") and n not in SKIPPED]
            for file in files:
                if os.path.splitext(file)[1] in SUFFIXES and len(times) < MOST_FILES:
                    path = os.path.join(root, file)
                    try:
                        times[path] = os.stat(path).st_mtime_ns
                    except OSError:  # just deleted, which is a change as well
                        times[path] = 0
    return times


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
