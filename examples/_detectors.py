"""Networks that find things in pictures, and say where: ``(image, conf_threshold, iou_threshold)``
to boxes."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtcstream import Box
from rtcstream.examples._boxes import Found, decode, has_grid, letterbox, survivors
from rtcstream.examples._faces import Faces
from rtcstream.examples._models import INSTALL, Missing, Network, Shared, Tell, options

SIDE = 640
"""Pixels that a network is given where it takes any number of them."""

# What COCO's eighty classes are called, which many networks know and do not say.
COCO = """person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,
stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,
umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,
skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,
sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,
toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,
clock,vase,scissors,teddy bear,hair drier,toothbrush""".replace("\n", "").split(",")
# Of the ninety numbers that TensorFlow's networks have for them, these stand for none.
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


class Detector:
    """A network of the YOLO family (v5 and later, YOLOX), SSD, or DETR's (RT-DETR, D-FINE).

    ``names`` are its classes; where empty, the file's own, or COCO's. Raises ValueError for a
    network of another kind.
    """

    def __init__(self, path: Path, names: list[str], progress: Tell) -> None:
        progress(0.1, f"Reading {path.name}")
        self._network = Network(path)
        self._names = names or _names(self._network.metadata)
        shape = next(iter(self._network.inputs.values()), [1, 3, SIDE, SIDE])
        if len(shape) != 4:
            raise ValueError(f"{path.name} takes {shape}, not (1, 3, height, width)")
        self._channels_last = shape[3] == 3
        sides = shape[1:3] if self._channels_last else shape[2:4]
        taught = _sides(self._network.metadata)
        self._height, self._width = (
            side if isinstance(side, int) else usual
            for side, usual in zip(sides, taught, strict=True)
        )
        self._as_opencv_has_them = False
        progress(0.5, "Trying it out")  # the first run is slow
        outputs = self._run(np.zeros((self._height, self._width, 3), np.uint8))
        decode(outputs, self._width, self._height, self._count)
        first = next(iter(outputs.values()))
        # YOLOX was taught with blue first, and 0..255.
        self._as_opencv_has_them = first.ndim == 3 and has_grid(first[0], self._width, self._height)

    def __call__(self, image: Any, conf_threshold: float, iou_threshold: float) -> list[Box]:
        framed, scale = letterbox(image, self._width, self._height)
        found = decode(self._run(framed), self._width, self._height, self._count)
        found = found[found.scores >= conf_threshold]
        found = found[survivors(found.boxes, found.scores, found.classes, iou_threshold)]
        height, width = image.shape[:2]
        scores = found.scores.clip(0, 1)  # rounding may go beyond
        corners = np.clip(found.boxes / scale, 0, [width, height, width, height])
        return [
            Box(left, top, right - left, bottom - top, self._name(number, found), score)
            for (left, top, right, bottom), number, score in zip(
                corners.tolist(), found.classes.tolist(), scores.tolist(), strict=True
            )
        ]

    def _run(self, framed: Any) -> dict[str, Any]:
        pixels = framed if self._as_opencv_has_them else cv2.cvtColor(framed, cv2.COLOR_BGR2RGB)
        if not self._network.takes_bytes:
            pixels = pixels.astype(np.float32) / (1 if self._as_opencv_has_them else 255)
        blob = pixels[None] if self._channels_last else pixels.transpose(2, 0, 1)[None]
        # RT-DETR and D-FINE ask for the size that boxes are to be measured in.
        size = [np.array([[self._width, self._height]], np.int64)]
        return self._network(np.ascontiguousarray(blob), *size * (len(self._network.inputs) > 1))

    @property
    def _count(self) -> int | None:
        """How many classes it has, where that is known."""
        return len(self._names) or None

    def _name(self, number: int, found: Found) -> str:
        names = self._names
        if not names and found.one_based and number + 1 not in UNUSED:
            number -= sum(each <= number for each in UNUSED)
        if found.known is None or found.known >= len(COCO):  # with fewer it has classes of its own
            names = names or COCO
        return names[number] if 0 <= number < len(names) else f"class {number}"


def _said(metadata: Mapping[str, str], key: str) -> Any:
    """What a network says of itself, None where it says nothing that Python can read."""
    try:
        return ast.literal_eval(metadata.get(key, "None"))
    except (SyntaxError, ValueError):
        return None


def _sides(metadata: Mapping[str, str]) -> tuple[int, int]:
    """The height and width of what a network was taught with, which it may say: [320, 320]."""
    match _said(metadata, "imgsz"):
        case [int(height), int(width)] if height > 0 < width:
            return height, width
    return SIDE, SIDE


def _names(metadata: Mapping[str, str]) -> list[str]:
    """The classes that a network says itself, as Ultralytics writes them: {0: 'person', ...}."""
    match _said(metadata, "names"):
        case dict(names):
            return [str(names.get(number, number)) for number in range(max(names, default=-1) + 1)]
        case [*names]:
            return [str(name) for name in names]
    return []


def chosen(progress: Tell) -> Detector | Faces:
    """The network that ``--model`` names, with the classes of ``--classes``, one a line; or else
    one of faces. Raises Missing, and what a ``Detector`` does."""
    given = options()
    if given.model is not None:
        lines = given.classes.read_text("utf-8").splitlines() if given.classes else []
        return Detector(given.model, [line.strip() for line in lines if line.strip()], progress)
    try:
        return Faces(progress)
    except Missing:
        raise Missing(
            "This example needs a network: name one with `-- --model FILE.onnx`, or "
            f"{INSTALL} for one of faces"
        ) from None


detector = Shared(chosen)
"""What the examples find things by."""
