"""Camera and microphone at once: a mirror that stretches both, lips and voice together."""

from typing import Annotated, Any

import cv2
import numpy as np

from rtcstream import Image, Range, Samples, Stream


def look(image: Image, bend: Annotated[float, Range(0, 1, 0.01)] = 0.5) -> Image:
    """A mirror that bends your face, and echoes your voice."""
    height, width = image.shape[:2]
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    wave = bend * width / 20 * np.sin(down / height * 4 * np.pi)
    return cv2.remap(
        cv2.flip(image, 1),
        (across + wave).astype("f4"),
        down.astype("f4"),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )


class Echo:
    """What was said 300 ms ago is heard again, the more the mirror bends."""

    def __init__(self) -> None:
        self.past: Any = np.zeros((2, 14_400), np.float32)

    def __call__(
        self, samples: Samples, bend: Annotated[float, Range(0, 1, 0.01)] = 0.5
    ) -> Samples:
        count = samples.shape[1]
        mixed: Any = samples + 0.6 * bend * self.past[:, :count]
        self.past = np.concatenate([self.past[:, count:], mixed], axis=1)
        quieter: Samples = 0.8 * mixed
        return quieter


stream = Stream(video=look, audio=Echo, title="Talking mirror")

if __name__ == "__main__":
    stream.run()
