"""Nobody can be recognised: the picture leaves in large blocks, or blurred, from the very start."""

from typing import Annotated, Literal

import cv2

from rtcstream import Image, Label, Range, Stream


def privacy(
    image: Image,
    mode: Literal["pixelate", "blur"] = "pixelate",
    size: Annotated[int, Range(8, 64, 8), Label("Size of a block, pixels")] = 24,
) -> Image:
    """Nobody can be recognised: the picture leaves in large blocks, or blurred."""
    height, width = image.shape[:2]
    blocks = cv2.resize(
        image, (max(width // size, 1), max(height // size, 1)), interpolation=cv2.INTER_AREA
    )
    smooth = cv2.INTER_NEAREST if mode == "pixelate" else cv2.INTER_CUBIC
    return cv2.resize(blocks, (width, height), interpolation=smooth)


stream = Stream(privacy, title="Privacy")

if __name__ == "__main__":
    stream.run()
