"""What is in the picture, in boxes with names: by a network of yours, or else the faces.

Any detector in an .onnx file: YOLOv5 and later, YOLOX, SSD, RT-DETR, D-FINE. Name it, and its
classes (a file, one a line) where it does not say them itself:

    python -m rtcstream object_detection -- --model yolox_s.onnx [--classes names.txt]

Without one it finds faces, with the ``models`` extra: pip install 'rtcstream[models]'
"""

from typing import Annotated

from rtcstream import Box, Image, Label, Progress, Range, Stream
from rtcstream.examples._detectors import detector
from rtcstream.examples._models import options

options()  # what is wrong in it is said before anybody comes


class ObjectDetection:
    """What is in the picture, in boxes with names: by a network of yours, or else the faces."""

    def __init__(self, progress: Progress) -> None:
        self.detect = detector.ask(progress)

    def __call__(
        self,
        image: Image,
        conf_threshold: Annotated[float, Range(0, 1, 0.05), Label("Confidence, at least")] = 0.3,
        iou_threshold: Annotated[float, Range(0, 1, 0.05), Label("Overlap, at most")] = 0.5,
    ) -> tuple[Image, list[Box]]:
        return image, self.detect(image, conf_threshold, iou_threshold)


stream = Stream(ObjectDetection, title="Object detection", lifespan=detector.load)

if __name__ == "__main__":
    stream.run()
