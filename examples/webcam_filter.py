"""A cartoon, edges or a flip of your camera, with a strength that you can drag while it runs."""

from typing import Annotated, Literal

import cv2

from rtcstream import Image, Range, Stream


def webcam_filter(
    image: Image,
    mode: Literal["cartoon", "edges", "flip"] = "cartoon",
    strength: Annotated[int, Range(1, 20)] = 5,
) -> Image:
    """A cartoon, edges or a flip of your camera, with a strength that you can drag."""
    if mode == "flip":
        return cv2.flip(image, 0)
    if mode == "edges":
        return cv2.Canny(image, 10 * strength, 20 * strength)
    # A cartoon: flat colours, found on a small picture for speed, under dark outlines.
    height, width = image.shape[:2]
    small = cv2.resize(image, (320, 320 * height // width), interpolation=cv2.INTER_AREA)
    for _ in range(1 + strength // 5):
        small = cv2.bilateralFilter(small, 5, 12 * strength, 5)
    colours = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    grey = cv2.medianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 5)
    outlines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4)
    return cv2.bitwise_and(colours, colours, mask=outlines)


stream = Stream(webcam_filter, title="Webcam filter")

if __name__ == "__main__":
    stream.run()
