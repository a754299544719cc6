"""Draws the gallery's pictures: a scene, and what each example makes of it.

Run it after a change of an example: ``python -m rtcstream.examples._pictures``
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from . import (
    background_blur,
    broadcast,
    custom_page,
    mounted,
    privacy,
    talking_mirror,
    webcam_filter,
)
from ._drawings import drawings, somebody
from .motion import Motion

HERE = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 640, 360


def scene(balloon: int = 430) -> Any:
    """Hills under an evening sky, a sun, a lake, and a balloon so many pixels from the left."""
    down = np.linspace(0, 1, HEIGHT)[:, None, None]
    sky = (1 - down) * np.array([150, 90, 60]) + down * np.array([170, 200, 255])
    image = np.ascontiguousarray(np.broadcast_to(sky, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    cv2.circle(image, (150, 190), 46, (170, 230, 255), -1, cv2.LINE_AA)
    across = np.arange(WIDTH)
    hills = [
        (230, 26, 95, (150, 120, 110)),
        (262, 34, 140, (110, 95, 70)),
        (300, 20, 70, (60, 80, 50)),
    ]
    for level, height, length, colour in hills:
        ridge = level - height * np.sin(across / length + level) - 9 * np.sin(across / 23 + level)
        outline = np.stack([across, ridge], axis=1).astype(np.int32)
        cv2.fillPoly(image, [np.vstack([outline, [[WIDTH, HEIGHT], [0, HEIGHT]]])], colour)
    cv2.ellipse(image, (200, 345), (150, 22), 0, 0, 360, (190, 170, 140), -1, cv2.LINE_AA)
    for index, colour in enumerate([(60, 70, 220), (70, 190, 250), (60, 70, 220)]):
        wide = (58, 38, 16)[index]
        cv2.ellipse(image, (balloon, 120), (wide, 70), 0, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.rectangle(image, (balloon - 12, 208), (balloon + 12, 226), (50, 80, 120), -1)
    for side in (-1, 1):
        top, foot = (balloon + side * 30, 178), (balloon + side * 11, 208)
        cv2.line(image, top, foot, (70, 90, 110), 2, cv2.LINE_AA)
    return image


def pictures() -> dict[str, Any]:
    """Each example's picture, by name."""
    image = scene()
    motion = Motion()
    motion(scene(balloon=360))
    halves = np.hstack([mounted.negative(image)[:, :320], mounted.sepia(image)[:, 320:]])
    room = background_blur.blurred(image, np.zeros((HEIGHT, WIDTH), np.float32), 3)
    return {
        "background_blur": somebody(room),
        "webcam_filter": webcam_filter.webcam_filter(image.copy(), "cartoon", 5),
        "loopback": image,
        "motion": motion(image.copy())[0],
        "privacy": privacy.privacy(image.copy()),
        "broadcast": broadcast.broadcast(image.copy()),
        "custom_page": custom_page.tint(image.copy(), "ocean"),
        "mounted": halves,
        "talking_mirror": talking_mirror.look(image.copy(), 0.6),
        **drawings(image),
    }


if __name__ == "__main__":
    for name, picture in pictures().items():
        cv2.imwrite(str(HERE / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
