"""`--reload`: which files are watched, and the program that is started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtcstream import __main__, loading, reload

PROGRAM = """
from rtcstream import Image, Stream
def f(image: Image) -> Image:
    return image
mine = Stream(f)
"""


@pytest.fixture
def signals() -> Iterator[None]:
    """Gives back the handlers that `run` replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_what_is_watched(tmp_path: Path) -> None:
    """A program's sources and pages are watched, below its folder too; caches and pictures not."""
    watched = [tmp_path / name for name in ("app.py", "page.html", "a/b/c.js", "a/d.css")]
    touch(*watched)
    others = (
        ".git/x.py",
        "__pycache__/x.py",
        "node_modules/x.js",
        "venv/x.py",
        "a/p.jpg",
        ".x.pyc",
    )
    touch(*(tmp_path / name for name in others))
    assert set(reload.snapshot([tmp_path])) == {str(path) for path in watched}
    assert reload.snapshot([tmp_path / "nosuch"]) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns + 1)),
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("b.py")),
        lambda path: touch(path.with_name("b.py")),
    ],
    ids=["changed", "deleted", "renamed", "added"],
)
def test_what_is_a_change(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """A file that is changed, deleted, renamed or added is noticed."""
    path = tmp_path / "a.py"
    touch(path)
    before = reload.snapshot([tmp_path])
    assert reload.snapshot([tmp_path]) == before
    change(path)
    assert reload.snapshot([tmp_path]) != before


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    """A file that cannot be looked at is no error."""
    (tmp_path / "a.py").symlink_to(tmp_path / "nosuch.py")
    assert reload.snapshot([tmp_path]) == {str(tmp_path / "a.py"): 0}


def test_watching_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the folder is, only so many files are watched."""
    monkeypatch.setattr(reload, "MOST_FILES", 3)
    touch(*(tmp_path / f"{number}.py" for number in range(5)))
    assert len(reload.snapshot([tmp_path])) == 3


@pytest.mark.parametrize(
    ("target", "folder"),
    [
        ("my/app.py", "my"),
        ("my/app.py:stream", "my"),
        ("package.module:stream", "."),
        ("loopback", None),
        (None, None),
    ],
)
def test_which_folder_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str | None, folder: str | None
) -> None:
    """A program's own folder is watched, a module's working folder, or the examples'."""
    monkeypatch.chdir(tmp_path)
    expected = loading.EXAMPLES.resolve() if folder is None else (tmp_path / folder).resolve()
    assert __main__._watched(target) == [expected]


class FakeChild:
    """Stands where the program would run; each one started takes the next step."""

    steps: list[Callable[[], None]]
    started: list["FakeChild"]
    stubborn = False

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command = command
        self.ended: list[str] = []
        self.started.append(self)
        self.steps.pop(0)()

    def terminate(self) -> None:
        self.ended.append("terminated")

    def kill(self) -> None:
        self.ended.append("killed")

    def wait(self, timeout: float | None = None) -> int:
        if self.stubborn and timeout is not None:
            raise subprocess.TimeoutExpired(self.command, timeout)
        return 0


@pytest.fixture
def children(signals: None, monkeypatch: pytest.MonkeyPatch) -> type[FakeChild]:
    """Fake programs instead of real ones."""
    monkeypatch.setattr(subprocess, "Popen", FakeChild)
    monkeypatch.setattr(reload, "INTERVAL", 0.01)
    FakeChild.started, FakeChild.stubborn = [], False
    return FakeChild


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_change_starts_the_program_again(
    tmp_path: Path,
    children: type[FakeChild],
    capsys: pytest.CaptureFixture[str],
    end: signal.Signals,
) -> None:
    """After a change the program is ended and started anew, until a signal ends both."""
    children.steps = [lambda: touch(tmp_path / "a.py"), lambda: signal.raise_signal(end)]
    assert reload.run([tmp_path], ["app.py", "--port", "0"]) == 0
    assert [child.command[1:] for child in children.started] == [
        ["-m", "rtcstream", "app.py", "--port", "0"]
    ] * 2
    assert [child.ended for child in children.started] == [["terminated"]] * 2
    assert capsys.readouterr().out == "A file has changed: starting again.\n"


def test_a_program_that_does_not_end(tmp_path: Path, children: type[FakeChild]) -> None:
    """A program that ignores being asked to end is killed."""
    children.stubborn = True
    children.steps = [lambda: signal.raise_signal(signal.SIGINT)]
    reload.run([tmp_path], [])
    assert [child.ended for child in children.started] == [["terminated", "killed"]]


def test_the_command_line_passes_the_rest_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child gets all arguments but `--reload`, and the program its own, that one included."""
    monkeypatch.chdir(tmp_path)
    calls: list[tuple[Any, ...]] = []

    def run(*arguments: Any) -> int:
        calls.append(arguments)
        return 0

    monkeypatch.setattr(reload, "run", run)
    given = ["my/app.py", "--reload", "--port", "0", "--", "--reload"]
    assert __main__.main(given) == 0
    assert calls == [
        ([(tmp_path / "my").resolve()], ["my/app.py", "--port", "0", "--", "--reload"])
    ]


def test_a_program_that_is_saved_is_not_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--reload` a program that has changed starts anew at once, whatever sessions it has."""
    calls: list[list[str]] = []

    def run(folders: Any, given: list[str]) -> int:
        calls.append(given)
        return 0

    monkeypatch.setattr(reload, "run", run)
    assert __main__.main(["my/app.py", "--reload", "--drain-timeout", "30"]) == 0
    assert __main__.parser().parse_args(calls[0][: calls[0].index("--")]).drain_timeout == 0


def test_a_program_that_is_edited(tmp_path: Path) -> None:
    """A program that failed is served when it has been saved anew, and Ctrl-C ends all of it."""
    program = tmp_path / "app.py"
    program.write_text("1 / 0\n")
    command = [sys.executable, "-m", "rtcstream", "app.py", "--port", "0", "--reload"]
    environment = {**os.environ, "PYTHONPATH": str(loading.EXAMPLES.parent.parent)}
    child = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None and child.stderr is not None
        try:
            assert "ZeroDivisionError" in child.stderr.readline()
            program.write_text(PROGRAM)
            assert child.stdout.readline() == "A file has changed: starting again.\n"
            assert child.stdout.readline().startswith("app on http://127.0.0.1:")
            child.send_signal(signal.SIGINT)
            assert child.wait(10) == 0
            assert child.stdout.read() + child.stderr.read() == ""
        finally:
            child.terminate()
