"""The README's programs run as they stand, and are typed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rtcstream import Stream, testing
from tests.pictures import scene

ROOT = Path(__file__).parents[1]
PROGRAMS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def test_there_are_programs() -> None:
    """The README shows programs."""
    assert len(PROGRAMS) >= 3


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: text.split("\n")[-2][:30])
def test_program_runs(program: str) -> None:
    """Each program runs; what it tests passes, and what it streams comes back."""
    names: dict[str, object] = {"__name__": "program"}
    exec(compile(program, "README.md", "exec"), names)
    for name, value in list(names.items()):
        if name.startswith("test_") and callable(value):
            value()
    if isinstance(stream := names.get("stream"), Stream):
        [picture] = testing.run(stream, [scene()])
        assert picture.shape == (480, 640, 3)


def test_programs_are_typed(tmp_path: Path) -> None:
    """Each program passes mypy --strict."""
    for number, program in enumerate(PROGRAMS):
        (tmp_path / f"program{number}.py").write_text(program)
    files = sorted(str(path) for path in tmp_path.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", *files]
    got = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert got.returncode == 0, got.stdout
