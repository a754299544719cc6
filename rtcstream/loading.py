"""From what the command line was given to what is served."""

import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from aiohttp import web

from .errors import CommandError, SignatureError
from .server import loading
from .stream import Stream, first_paragraph

Target: TypeAlias = Stream | web.Application

EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Named:
    """What is served, under the name that it was asked for."""

    name: str
    target: Target

    def app(self) -> web.Application:
        return self.target.app() if isinstance(self.target, Stream) else self.target


def example_names() -> list[str]:
    """The names of the examples, in alphabetical order. Raises CommandError without them."""
    if not EXAMPLES.is_dir():
        raise CommandError(
            f"{EXAMPLES} is no folder: this checkout was made without symbolic links. "
            "Enable them (git config core.symlinks true) and clone again, or install the wheel"
        )
    return sorted(p.stem for p in EXAMPLES.glob("*.py") if not p.stem.startswith("_"))


def load(target: str) -> Named:
    """What ``NAME``, ``app.py``, ``app.py:stream`` or ``package.module:stream`` stands for.

    Raises CommandError with one line that says what is wrong.
    """
    path, attribute = split(target)
    if path and not attribute and Path(path).is_dir() and path not in example_names():
        raise CommandError(_folder(path))
    if path.endswith(".py"):
        if not Path(path).is_file():
            raise CommandError(f"there is no file {path!r}")
        module = _run_file(Path(path))
    elif path in example_names() and not attribute:
        module = _example(path)
    elif "." in path or attribute:
        sys.path.insert(0, "")
        module = _import(path)
    else:
        raise CommandError(_unknown(path))
    name = Path(path).stem if path.endswith(".py") else path.rpartition(".")[2]
    return Named(name, _pick(module, attribute, path))


def sentence(name: str) -> str:
    """What an example says of itself. Raises CommandError if it cannot be imported."""
    return first_paragraph(_example(name).__doc__ or "")


def split(target: str) -> tuple[str, str]:
    """``app.py:stream`` as ("app.py", "stream"); the second is empty where there is none."""
    head, colon, attribute = target.rpartition(":")
    # The colon of a Windows drive is no separator.
    if colon and attribute.isidentifier() and not (len(head) == 1 and head.isalpha()):
        return head, attribute
    return target, ""


def _example(name: str) -> ModuleType:
    return _import(f"rtcstream.examples.{name}")


def _unknown(name: str) -> str:
    if Path(f"{name}.py").is_file():
        return f"there is no example {name!r}; for the program of yours write {name}.py"
    names = example_names()
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names, n=1)
    meant = f"did you mean {near[0]}? There" if near else "there"
    listed = ", ".join(names)
    return f"there is no example {name!r}; {meant} are: {listed}. A program of yours ends in .py"


def _folder(path: str) -> str:
    programs = sorted(file.name for file in Path(path).glob("*.py") if file.name != "__init__.py")
    there = f"one of those in it: {', '.join(programs[:10])}" if programs else "such as app.py"
    return (
        f"{path!r} is a folder; name a program, {there}. Without any name the examples are served"
    )


@contextmanager
def _loading() -> Iterator[None]:
    token = loading.set(True)
    try:
        yield
    finally:
        loading.reset(token)


def _run_file(path: Path) -> ModuleType:
    sys.path.insert(0, str(path.resolve().parent))  # as `python app.py` does
    # A program called `cv2.py` must not take the place of the real one.
    name = path.stem if path.stem not in sys.modules else f"program_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and get_type_hints look modules up by name
    try:
        with _loading():
            spec.loader.exec_module(module)
    except Exception as error:  # a program that exits, after its own --help perhaps, does so
        raise CommandError(_failed(str(path), error)) from error
    return module


def _import(name: str) -> ModuleType:
    try:
        with _loading():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise CommandError(f"there is no module {name!r}") from None
        raise CommandError(_failed(name, error)) from error
    except Exception as error:
        raise CommandError(_failed(name, error)) from error


def _failed(name: str, error: BaseException) -> str:
    if isinstance(error, SignatureError | CommandError):
        return f"{name}: {error}"
    if isinstance(error, SyntaxError):
        return f"{name} cannot be read: {error.msg} ({error.filename}, line {error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename
        and not frame.filename.startswith("<")
        and Path(frame.filename).parent != EXAMPLES.parent
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    said = " ".join(str(error).split())  # OpenCV's errors have several lines
    return f"{name} fails when it is imported: {type(error).__name__}: {said}{place}"


def _pick(module: ModuleType, attribute: str, path: str) -> Target:
    if attribute:
        found = getattr(module, attribute, None)
        if isinstance(found, Stream | web.Application):
            return found
        if not hasattr(module, attribute):
            what = "missing"
        elif callable(found):
            what = f"of type {type(found).__name__}; write `stream = Stream({attribute})` there"
        else:
            what = f"of type {type(found).__name__}"
        raise CommandError(
            f"{path}:{attribute} must be a Stream or an aiohttp web.Application, but is {what}"
        )
    served: dict[str, Target] = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Stream | web.Application)
    }
    for name in ("stream", "app"):
        if name in served:
            return served[name]
    if len({id(value) for value in served.values()}) == 1:
        return next(iter(served.values()))
    if not served:
        raise CommandError(
            f"{path} has nothing to serve; write in it, for example, `stream = Stream(my_function)`"
        )
    names = ", ".join(f"{path}:{name}" for name in served)
    raise CommandError(f"{path} has several streams; name one of {names}")
