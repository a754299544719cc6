"""The ladder of imports: each room knows only the rooms above it, and few things from outside.

Imports count wherever they stand: inside a function, where they would hide a cycle, and under
`TYPE_CHECKING` too, for a room that names another's types knows it as well. What a lower room needs
of a higher one is a protocol, and belongs in `types`.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parent.parent / "rtcstream"


class Room(NamedTuple):
    name: str
    """The module or the folder, without `rtcstream.`."""
    outside: str = ""
    """What it may import from outside, besides the standard library."""


LADDER = [
    Room("errors"),
    Room("buckets"),
    Room("limits"),
    Room("signed"),
    Room("logs"),
    Room("types", "numpy"),
    Room("drawings", "numpy"),
    Room("wording"),
    Room("spelling", "numpy"),
    Room("controls"),
    Room("messages"),
    Room("results", "numpy"),
    Room("takes", "av numpy"),
    Room("annotations", "av numpy"),
    Room("batching"),
    Room("signature", "av"),
    Room("media", "av cv2 numpy"),
    Room("samples", "av numpy"),
    Room("transport", "aiortc aioice av cv2 numpy pyee pylibsrtp"),
    Room("options"),
    Room("faults"),
    Room("reporting"),
    Room("lifespan"),
    Room("outcomes", "av"),
    Room("calls", "av"),
    Room("pipes", "numpy"),
    Room("worker_process"),
    Room("worker_events"),
    Room("isolation", "av numpy"),
    Room("runner"),
    Room("worker"),
    Room("resuming"),
    Room("chunks", "av numpy"),
    Room("playout", "av"),
    Room("tracks", "av numpy"),
    Room("generators"),
    Room("vad", "numpy onnxruntime"),
    Room("echo", "numpy"),
    Room("recording", "av numpy"),
    Room("turns", "av numpy"),
    Room("video_recording", "av"),
    Room("wiring"),
    Room("outbox", "aiortc"),
    Room("uploads"),
    Room("session_limits"),
    Room("host", "pyee"),
    Room("shared"),
    Room("session", "aiortc"),
    Room("metrics"),
    Room("signaling", "aiohttp"),
    Room("admission"),
    Room("overload"),
    Room("door", "aiohttp"),
    Room("gate", "aiohttp"),
    Room("turn"),
    Room("pages", "aiohttp"),
    Room("sign_in", "aiohttp"),
    Room("access_api"),
    Room("access", "aiohttp"),
    Room("refusals"),
    Room("trickle", "aiortc"),
    Room("negotiator", "aiohttp"),
    Room("operations"),
    Room("exporter", "prometheus_client"),
    Room("operations_api"),
    Room("admin", "aiohttp"),
    Room("network"),
    Room("not_found", "aiohttp"),
    Room("certificate", "cryptography"),
    Room("http_log", "aiohttp"),
    Room("server", "aiohttp uvloop"),
    Room("child_session"),
    Room("child", "numpy"),
    Room("stream", "aiohttp"),
    Room("testing", "aiohttp aiortc av numpy"),
    Room("loading", "aiohttp"),
    Room("reload"),
    Room("gallery", "aiohttp"),
    Room("synthetic", "aiohttp av numpy"),
    Room("benching", "aiohttp"),
    Room("__init__"),
    Room("__main__"),
]
RUNGS = {room.name: rung for rung, room in enumerate(LADDER)}

# Knows no other room, so that it serves a server that is not ours.
ALONE = {"signaling"}

# The examples are programs like their readers': they know what `import rtcstream` gives, and this.
# A module there whose name starts with `_` is no example, but a tool that makes something of them.
EXAMPLES = "examples"
EXAMPLES_MAY_IMPORT = {
    *("rtcstream", "rtcstream.testing"),
    *("aiohttp", "av", "cv2", "numpy"),
    "pocketsphinx",  # of the extra `speech`, on use
    "moonshine_voice",  # of the extra `conversation`, on use
    "rapidocr_onnxruntime",  # of the extra `models`, on use
}


class Import(NamedTuple):
    where: str
    """File and line."""
    module: str
    """The module, absolute."""
    names: tuple[str, ...] = ()
    """What is taken from it; a submodule, perhaps."""


def modules() -> list[Path]:
    """Every module; the folders one by one, since `rglob` does not follow links to them."""
    folders = [path for path in PACKAGE.iterdir() if path.is_dir()]
    return sorted([*PACKAGE.glob("*.py"), *(path for f in folders for path in f.rglob("*.py"))])


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[Import]:
    inside = ("rtcstream", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"rtcstream/{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Import():
                yield from (Import(where, alias.name) for alias in node.names)
            case ast.ImportFrom():
                start = inside[: len(inside) - node.level + 1] if node.level else ()
                module = ".".join([*start, *([node.module] if node.module else [])])
                yield Import(where, module, tuple(alias.name for alias in node.names))


def rooms_imported(found: Import) -> Iterator[str]:
    """The rooms of ours that an import reaches: `from rtcstream import Stream` is `__init__`'s."""
    package, *below = found.module.split(".")
    if package != "rtcstream":
        return
    if below:
        yield below[0]
    elif found.names:
        yield from {name if name in RUNGS or is_room(name) else "__init__" for name in found.names}
    else:
        yield "__init__"


def is_room(name: str) -> bool:
    return (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir()


def complaints(path: Path) -> Iterator[str]:
    """A sentence for each import of this file that the ladder does not have."""
    room = room_of(path)
    if room not in RUNGS:
        yield f"rtcstream/{path.relative_to(PACKAGE)}: a new room; add a row for {room!r} to LADDER"
        return
    outside = LADDER[RUNGS[room]].outside.split()
    for found in imports(path):
        for other in rooms_imported(found):
            if other == room:
                continue
            if other not in RUNGS:
                yield f"{found.where}: imports {other!r}, which has no row in LADDER"
            elif room in ALONE:
                yield f"{found.where}: {room!r} imports nothing of rtcstream, but here {other!r}"
            elif RUNGS[other] > RUNGS[room]:
                yield f"{found.where}: {room!r} may not import {other!r}, which stands below it"
        package = found.module.split(".")[0]
        if package not in {"rtcstream", *outside, *sys.stdlib_module_names}:
            yield f"{found.where}: {room!r} may not import {package!r} from outside"


def test_every_import_goes_up_the_ladder() -> None:
    """No module imports from a room below its own, nor from outside what its row allows."""
    found = [
        sentence for path in modules() if room_of(path) != EXAMPLES for sentence in complaints(path)
    ]
    assert not found, "\n" + "\n".join(found)


def test_examples_know_only_the_public_names() -> None:
    """An example imports what its reader could: the package itself and the common libraries."""
    found = [
        f"{each.where}: an example may not import {each.module!r}"
        for path in modules()
        if room_of(path) == EXAMPLES and not path.name.startswith("_")
        for each in imports(path)
        if each.module not in EXAMPLES_MAY_IMPORT
        and not each.module.startswith("rtcstream.examples._")  # what is drawn for them
        and each.module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "line", "sentence"),
    [
        ("types.py", "from rtcstream.session import Session", "'types' may not import 'session'"),
        ("types.py", "from .stream import Stream", "'types' may not import 'stream'"),
        ("tracks.py", "def f():\n    from . import session", "'tracks' may not import 'session'"),
        ("stream.py", "from rtcstream import Image", "'stream' may not import '__init__'"),
        ("calls.py", "import aiortc.mediastreams", "'calls' may not import 'aiortc'"),
        ("signaling/routes.py", "from ..errors import Error", "imports nothing of rtcstream"),
        ("signaling/routes.py", "from .problem import Problem", ""),
        ("transport/udp.py", "import asyncio, aioice.stun", ""),
        ("novelty.py", "", "add a row for 'novelty'"),
    ],
)
def test_the_ladder_finds_an_import_downwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, line: str, sentence: str
) -> None:
    """An import down the ladder is named, however it is written; one within a room is not."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(line)
    found = list(complaints(tmp_path / file))
    assert len(found) == (1 if sentence else 0)
    assert sentence in "".join(found)
