"""Writes small networks as ``.onnx`` files: enough of the format for a detector that is known.

Such a network "finds" what is red: each of its cells says how red its part of the picture is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT, UINT8, INT64 = 1, 2, 7
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): UINT8, np.dtype(np.int64): INT64}


class Graph:
    """Nodes and their constants, as they are added; each is named by its output."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._names = 0

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """An array that is always the same."""
        array = np.asarray(values, dtype)
        name = self._new_name()
        dims = b"".join(_number(1, side) for side in array.shape)
        rest = _number(2, TYPES[array.dtype]) + _text(8, name) + _bytes(9, array.tobytes())
        self._constants.append(dims + rest)
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: int | list[int]) -> str:
        """An operation, by ONNX's name; returns what its output is called."""
        output = output or self._new_name()
        parts = [_text(1, name) for name in inputs] + [_text(2, output), _text(4, kind)]
        for name, value in attributes.items():
            if isinstance(value, int):
                body = _text(1, name) + _number(3, value) + _number(20, 2)
            else:
                body = _text(1, name) + b"".join(_number(8, n) for n in value) + _number(20, 7)
            parts.append(_bytes(5, body))
        self._nodes.append(b"".join(parts))
        return output

    def write(
        self,
        path: Path,
        inputs: Mapping[str, tuple[Sequence[int | str], int]],
        outputs: Mapping[str, Sequence[int]],
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """``inputs`` are shapes and types by name, ``outputs`` shapes of floats; a word in a shape
        stands for any size."""
        graph = b"".join(_bytes(1, node) for node in self._nodes) + _text(2, "test")
        graph += b"".join(_bytes(5, each) for each in self._constants)
        graph += b"".join(_bytes(11, _value(n, s, t)) for n, (s, t) in inputs.items())
        graph += b"".join(_bytes(12, _value(n, s, FLOAT)) for n, s in outputs.items())
        model = _number(1, 8) + _bytes(8, _text(1, "") + _number(2, 13)) + _bytes(7, graph)
        for key, value in (metadata or {}).items():
            model += _bytes(14, _text(1, key) + _text(2, value))
        path.write_bytes(model)
        return path

    def redness(self, picture: str, stride: int, unit: float, channel: int) -> str:
        """(1, 1, rows, columns): how much more of a channel than of the others each cell has."""
        weights = np.full((1, 3, stride, stride), -0.5)
        weights[0, channel] = 1
        kernel = self.constant(weights / stride**2 / unit)
        return self.node("Conv", picture, kernel, kernel_shape=[stride] * 2, strides=[stride] * 2)

    def _new_name(self) -> str:
        self._names += 1
        return f"t{self._names}"


def cells(side: int, stride: int) -> NDArray[np.float32]:
    """(n, 2): the column and row of each cell of a square picture, row by row."""
    across, down = np.meshgrid(np.arange(side // stride), np.arange(side // stride))
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _value(name: str, shape: Sequence[int | str], kind: int) -> bytes:
    sides = [_text(2, side) if isinstance(side, str) else _number(1, side) for side in shape]
    dims = b"".join(_bytes(1, side) for side in sides)
    tensor = _number(1, kind) + _bytes(2, dims)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))
