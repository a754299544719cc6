"""What moves glows, and how much it moves is plotted: a class that remembers the last picture."""

from typing import Annotated, Any

import cv2
import numpy as np

from rtcstream import Image, Label, Range, Stream


class Motion:
    """What moves glows, and how much it moves is plotted."""

    def __init__(self) -> None:
        self.last: Any = None

    def __call__(
        self, image: Image, sensitivity: Annotated[int, Range(1, 50)] = 20
    ) -> tuple[Image, Annotated[float, Label("Motion, %")]]:
        grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (9, 9), 0)
        last, self.last = self.last, grey
        if last is None or last.shape != grey.shape:
            return image // 4, 0.0
        moved = cv2.absdiff(grey, last) > 51 - sensitivity
        glow = cv2.GaussianBlur(moved.astype(np.float32), (31, 31), 0)[..., None]
        return (image * (0.25 + 0.75 * glow)).astype(np.uint8), 100 * float(moved.mean())


stream = Stream(Motion)

if __name__ == "__main__":
    stream.run()
