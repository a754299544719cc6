"""Between pictures and a detector's numbers: into its input, and from its output to boxes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

GREY = 114
"""What YOLO networks have learned to see nothing in."""
MOST = 300
"""The most candidates, those of the highest scores, that are compared with each other."""


@dataclass(frozen=True)
class Found:
    """Things in a picture: ``boxes`` (n, 4) with left, top, right and bottom in pixels, ``scores``
    (n,) in 0..1 and ``classes`` (n,), by number; ``one_based`` where that was from 1, as
    TensorFlow has it; ``known`` is how many classes the network knows, where it shows."""

    boxes: Any
    scores: Any
    classes: Any
    one_based: bool = False
    known: int | None = None

    def __getitem__(self, which: Any) -> "Found":
        return replace(
            self, boxes=self.boxes[which], scores=self.scores[which], classes=self.classes[which]
        )


def letterbox(image: Any, width: int, height: int) -> tuple[Any, float]:
    """The picture scaled to fit into the upper left of a grey one, and by how much it was."""
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    framed = np.full((height, width, 3), GREY, np.uint8)
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    framed[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=smooth)
    return framed, scale


def survivors(boxes: Any, scores: Any, classes: Any, iou_threshold: float) -> Any:
    """Which to keep, the highest score first, when of those of one class that overlap by more than
    that only the one of the highest score is kept (non-maximum suppression)."""
    order = np.argsort(-scores, kind="stable")[:MOST]
    left, top, right, bottom = boxes[order].T
    classes = classes[order]
    across = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    down = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    both = across.clip(0) * down.clip(0)
    areas = (right - left) * (bottom - top)
    either = np.maximum(areas[:, None] + areas - both, 1e-9)
    alike = (both > iou_threshold * either) & (classes[:, None] == classes)
    kept = np.ones(len(order), bool)
    for number in range(len(order)):
        if kept[number]:
            kept[number + 1 :] &= ~alike[number, number + 1 :]
    return order[kept]


def decode(outputs: Mapping[str, Any], width: int, height: int, count: int | None) -> Found:
    """What a network that was given width x height pixels has found, whatever its family.

    ``count`` is how many classes there are, None where that is not known. Raises ValueError for
    outputs of no family known here.
    """
    named = {role: array for name, array in outputs.items() if (role := _role(name))}
    if "boxes" in named and "logits" in named:  # DETR and its kin, as they come out
        scores = 1 / (1 + np.exp(-named["logits"][0].astype(np.float64)))
        return _best(_corners(named["boxes"][0]) * [width, height, width, height], scores)
    if "boxes" in named and "scores" in named:
        return _ready(named, width, height)
    tables = [array[0] for array in outputs.values() if array.ndim == 3]
    if len(tables) != 1:  # PicoDet's are eight
        shapes = {name: array.shape for name, array in outputs.items()}
        raise ValueError(f"its outputs are of no detector known here: {shapes}")
    [rows] = tables
    if rows.shape[1] == 6 and count != 1 and len(rows) <= 1000:  # has suppressed by itself
        return Found(rows[:, :4], rows[:, 4], rows[:, 5].astype(int))
    if rows.shape[0] < rows.shape[1]:  # YOLOv8 and later: a column each, no objectness
        rows = rows.T
        return _best(_corners(rows[:, :4]), rows[:, 4 : None if count is None else 4 + count])
    if has_grid(rows, width, height) and rows[:, :2].max() <= 16:  # YOLOX, as it comes out
        rows = _on_grid(rows, width, height)
    # YOLOv5: whether there is anything, and then what
    classes = rows[:, 5 : None if count is None else 5 + count]
    return _best(_corners(rows[:, :4]), rows[:, 4:5] * classes)


def has_grid(rows: Any, width: int, height: int) -> bool:
    """Whether there is a row for each cell of three grids, as YOLOX has it."""
    cells = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
    return len(rows) == cells and rows.shape[1] > 5


def _role(name: str) -> str | None:
    """What an output is, by its name."""
    name = name.lower()
    if name.startswith("raw_") or "multiclass" in name:  # TensorFlow has these beside the others
        return None
    found = {"boxes": "boxes", "scores": "scores", "logits": "logits"}
    found |= {"detection_classes": "one-based", "labels": "classes", "classes": "classes"}
    return next((role for word, role in found.items() if word in name), None)


def _ready(named: Mapping[str, Any], width: int, height: int) -> Found:
    """SSD and others that say boxes, classes and scores, one of each for a thing."""
    boxes = named["boxes"].reshape(-1, 4).astype(np.float64)
    if "one-based" in named:  # TensorFlow's way: top first, and class 0 is nothing
        boxes = boxes[:, [1, 0, 3, 2]]
    if boxes.size and boxes.max() <= 2:  # in fractions of the picture
        boxes = boxes * [width, height, width, height]
    if "one-based" not in named and "classes" not in named:  # of all classes; the first is nothing
        return _best(boxes, named["scores"].reshape(len(boxes), -1)[:, 1:])
    scores = named["scores"].reshape(-1)
    if "one-based" in named:
        return Found(boxes, scores, named["one-based"].reshape(-1).astype(int) - 1, True)
    return Found(boxes, scores, named["classes"].reshape(-1).astype(int))


def _best(boxes: Any, scores: Any) -> Found:
    """For each box the class of the highest score."""
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    return Found(boxes, best, classes, known=scores.shape[1])


def _corners(boxes: Any) -> Any:
    """Middles and sizes as corners."""
    middle, half = boxes[:, :2], boxes[:, 2:4] / 2
    return np.hstack([middle - half, middle + half])


def _on_grid(rows: Any, width: int, height: int) -> Any:
    """Places within the cells of three grids as places in the picture."""
    cells, strides = [], []
    for stride in (8, 16, 32):
        across, down = np.meshgrid(np.arange(width // stride), np.arange(height // stride))
        cells.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full((across.size, 1), stride))
    scale = np.concatenate(strides)
    places = (rows[:, :2] + np.concatenate(cells)) * scale
    return np.hstack([places, np.exp(rows[:, 2:4]) * scale, rows[:, 4:]])
