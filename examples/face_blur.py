"""Faces are hidden before a picture goes back; all of it is while none is found.

A detector can miss one: who must not be seen at all takes the example privacy.

It needs the ``models`` extra: pip install 'rtcstream[models]'
"""

import time
from typing import Annotated, Any, Literal

import cv2

from rtcstream import Box, Image, Label, Progress, Range, Stream
from rtcstream.examples._faces import Faces
from rtcstream.examples._models import Shared

faces = Shared(Faces)


class FaceBlur:
    """Faces are hidden before a picture goes back; all of it is while none is found."""

    def __init__(self, progress: Progress) -> None:
        self.find = faces.ask(progress)
        self.places: list[Box] = []
        self.seen_at = 0.0

    def __call__(
        self,
        image: Image,
        mode: Literal["pixelate", "blur"] = "pixelate",
        margin: Annotated[float, Range(0, 1, 0.1), Label("Margin, parts of the face")] = 0.3,
        hold: Annotated[float, Range(0, 5, 0.5), Label("Hidden on for, seconds")] = 1.0,
        all_without: Annotated[bool, Label("Hide everything while no face is found")] = True,
    ) -> Image:
        found = self.find(image, 0.5, 0.5)  # rather one too many
        now = time.monotonic()
        if len(found) >= len(self.places) or now - self.seen_at > hold:
            self.places, self.seen_at = found, now
        # Of several faces one may turn away: where it was stays hidden, too.
        places = found + self.places
        hidden = unrecognisable(image, mode)
        if not places and all_without:
            return hidden
        for face in places:
            area = around(face, margin, image)
            image[area] = hidden[area]
        return image


def unrecognisable(image: Image, mode: str) -> Image:
    """The whole picture in sixteen rows of blocks, or smoothed as much."""
    height, width = image.shape[:2]
    blocks = cv2.resize(image, (max(16 * width // height, 1), 16), interpolation=cv2.INTER_AREA)
    smooth = cv2.INTER_NEAREST if mode == "pixelate" else cv2.INTER_CUBIC
    return cv2.resize(blocks, (width, height), interpolation=smooth)


def around(face: Box, margin: float, image: Any) -> tuple[slice, slice]:
    """The rows and columns of a face, with so much of its size on each side."""
    across, down = margin * face.width, margin * face.height
    return (
        slice(max(int(face.y - down), 0), int(face.y + face.height + down) + 1),
        slice(max(int(face.x - across), 0), int(face.x + face.width + across) + 1),
    )


stream = Stream(FaceBlur, title="Face blur", lifespan=faces.load)

if __name__ == "__main__":
    stream.run()
