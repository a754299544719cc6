"""What a function returns beside pictures, to what JSON can say."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .drawings import Box, Drawing, Keypoints, Mask, Text, to_fields
from .errors import ResultError
from .types import Download, Said

MAX_DEPTH = 32
PLACED = (Box, Mask, Keypoints, Text)
"""Those that are somewhere in the picture."""


def to_json(value: Any, size: tuple[int, int] | None = None, where: str = "the result") -> Any:
    """The value as JSON data: numpy's numbers and arrays become numbers and lists, dataclasses
    and named tuples objects, ``Enum`` members their names.

    ``size`` is the (width, height) of the picture that drawings (``Box``, ``Mask``, ...) are
    measured in; it travels with each as ``frame``, since the picture on the page may be of another
    size. Raises ResultError naming the place (``the result['score'][2]``) for what JSON cannot say.
    """
    return _convert(value, size, where, 0)


def _convert(value: Any, size: tuple[int, int] | None, where: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ResultError(f"{where[:80]} is nested more than {MAX_DEPTH} deep")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ResultError(f"{where} is {value}, which JSON cannot say; return None instead")
        return float(value)
    if isinstance(value, Drawing):
        framed = {"frame": size} if isinstance(value, PLACED) and size is not None else {}
        try:
            value = to_fields(value) | framed
        except ValueError as error:
            raise ResultError(f"{where}, a {type(value).__name__}, {error}") from None
    elif isinstance(value, Said):
        value = {"type": "said", "who": value.who, "text": value.text}
    elif isinstance(value, Download):
        value = {"type": "download", **dataclasses.asdict(value)}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    elif isinstance(value, np.ndarray):
        if value.size > 16_384:
            raise ResultError(
                f"{where} is an array of shape {value.shape}, too large to send as JSON; "
                "return it as the Image, or return fewer numbers"
            )
        value = value.tolist()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str | int | np.integer):
                raise ResultError(f"{where} has the key {key!r}; keys must be texts")
        return {
            str(key): _convert(item, size, f"{where}[{key!r}]", depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_convert(v, size, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    raise ResultError(
        f"{where} is of type {type(value).__name__}, which cannot be sent; return text, numbers, "
        "lists, dicts, dataclasses, Box or Mask"
    )
