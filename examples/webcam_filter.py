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
    small = cv2.pyrDown(image)
    for _ in range(1 + strength // 5):
        small = cv2.bilateralFilter(small, 7, 12 * strength, 7)
    colours = cv2.resize(small, (image.shape[1], image.shape[0]))
    grey = cv2.medianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 7)
    outlines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4)
    return cv2.bitwise_and(colours, cv2.cvtColor(outlines, cv2.COLOR_GRAY2BGR))


stream = Stream(webcam_filter, title="Webcam filter")

if __name__ == "__main__":
    stream.run()
