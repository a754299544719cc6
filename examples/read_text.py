"""What is written in front of the camera, as text, where it stands.

It returns no picture: what it reads is drawn over your own.

It needs the ``models`` extra: pip install 'rtcstream[models]', on Python 3.11 or 3.12.
"""

import threading
from typing import Annotated, Any

import numpy as np

from rtcstream import Box, Image, Label, Progress, Range, Stream
from rtcstream.examples._models import INSTALL, Missing, Shared, Tell


def load(progress: Tell) -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        raise Missing(
            f"This example needs rapidocr-onnxruntime: {INSTALL}, on Python 3.11 or 3.12"
        ) from None
    progress(0.2, "Reading the weights")
    read = RapidOCR()
    progress(0.6, "Trying it out")  # the first run is slow
    read(np.full((320, 320, 3), 255, np.uint8))
    return read


reader = Shared(load)
turn = threading.Lock()  # it notes the size of a picture in itself


class ReadText:
    """What is written in front of the camera, as text, where it stands."""

    def __init__(self, progress: Progress) -> None:
        self.read = reader.ask(progress)

    def __call__(
        self,
        image: Image,
        conf_threshold: Annotated[float, Range(0, 1, 0.05), Label("Confidence, at least")] = 0.6,
    ) -> list[Box]:
        with turn:
            lines, _ = self.read(image)
        boxes = []
        for corners, text, score in lines or []:
            left, top = np.min(corners, axis=0).tolist()
            right, bottom = np.max(corners, axis=0).tolist()
            if score >= conf_threshold:
                boxes.append(Box(left, top, right - left, bottom - top, text, float(score)))
        return boxes


stream = Stream(ReadText, title="Read text")

if __name__ == "__main__":
    stream.run()
