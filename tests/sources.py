"""Functions given as a line of source, as their authors write them."""

from typing import Any

from rtcstream.signature import Signature, read

NAMES: dict[str, Any] = {}
exec(
    '''
import dataclasses, enum
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict
import av, cv2, numpy as np
from numpy.typing import NDArray
from rtcstream import *

class Mode(enum.Enum):
    EDGES = 1

@dataclasses.dataclass
class Found:
    name: str

class Counted(TypedDict):
    count: int

class Picture:
    """Another library's."""

Picture.__module__, Picture.__qualname__ = "PIL.Image", "Image"

class Pair(NamedTuple):
    x: float
    y: float
''',
    NAMES,
)


def compiled(source: str, future: str = "") -> Any:
    """The function (or lambda) of one line of source."""
    if source.startswith("lambda"):
        return eval(source, NAMES)
    names = {**NAMES}
    exec(future + source, names)
    return names["f"]


def from_source(source: str) -> Signature:
    return read(compiled(source))
