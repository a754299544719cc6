"""Point at something in the picture, and it is followed; how sure that is, is plotted."""

from typing import Annotated, Any

import cv2
import numpy as np

from rtcstream import Box, Image, Label, Plot, Point, Range, Stream, Text

SURE, LOST = 0.8, 0.5
"""From which likeness on it learns what the thing looks like now, and below which it is lost."""


class TrackObject:
    """Point at something in the picture, and it is followed; how sure that is, is plotted."""

    def __init__(self) -> None:
        self.target: Point | None = None
        self.patch: Any = None
        self.place = (0, 0)
        self.likeness = 0.0

    def __call__(
        self,
        image: Image,
        target: Annotated[Point | None, Label("What to follow")] = None,
        size: Annotated[int, Range(16, 128, 4), Label("How large it is, pixels")] = 48,
    ) -> tuple[Image, list[Box | Text], Annotated[Plot, Label("Likeness")]]:
        if target != self.target:
            self.target, self.patch = target, None
        if target is None:
            hint = Text("Point at what is to be followed", 12, 12)
            return image, [hint], Plot(0.0, minimum=0, maximum=1)
        if self.patch is None:
            self.begin(image, target, min(size, *image.shape[:2]))
        else:
            self.follow(image)
        height, width = self.patch.shape[:2]
        here = Box(*self.place, width, height, "target", max(self.likeness, 0.0))
        found: list[Box | Text] = [here if self.likeness >= LOST else Text("Lost it", 12, 12)]
        return image, found, Plot(self.likeness, minimum=0, maximum=1)

    def begin(self, image: Image, target: Point, size: int) -> None:
        """Learn what is around the point."""
        across, down = target.pixel(image)
        left = int(np.clip(across - size // 2, 0, image.shape[1] - size))
        top = int(np.clip(down - size // 2, 0, image.shape[0] - size))
        self.patch = image[top : top + size, left : left + size].copy()
        self.place, self.likeness = (left, top), 1.0

    def follow(self, image: Image) -> None:
        """Look around where it was; in the whole picture, once it is lost."""
        height, width = self.patch.shape[:2]
        left, top = self.place if self.likeness >= LOST else (0, 0)
        near = (height, width) if self.likeness >= LOST else image.shape[:2]
        first, above = max(left - near[1], 0), max(top - near[0], 0)
        around = image[above : top + height + near[0], first : left + width + near[1]]
        likenesses = cv2.matchTemplate(around, self.patch, cv2.TM_CCOEFF_NORMED)
        _, best, _, (across, down) = cv2.minMaxLoc(likenesses)
        self.likeness = float(np.clip(best, 0, 1))
        if self.likeness >= LOST:
            left, top = self.place = (first + across, above + down)
        if self.likeness >= SURE:  # its light and its shape may change, slowly
            now = image[top : top + height, left : left + width]
            self.patch = cv2.addWeighted(self.patch, 0.9, now, 0.1, 0)


stream = Stream(TrackObject, title="Track an object")

if __name__ == "__main__":
    stream.run()
