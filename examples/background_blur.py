"""You are seen, and the room behind you is not: it is blurred, or something else is there.

It needs weights: pip install --no-deps mediapipe==0.10.21, or any network that gives a mask:

    python -m rtcstream background_blur -- --segmenter selfie.tflite
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import av
import cv2
import numpy as np

from rtcstream import File, Image, Label, MaxSize, Progress, Range, Stream
from rtcstream.examples._people import people

Behind = Literal["blur", "grey", "green"]
COLOURS = {"grey": (60, 60, 60), "green": (0, 177, 0)}
# Of an upload that says it is enormous nothing is unpacked.
PICTURES = {"format_whitelist": "jpeg_pipe,png_pipe,webp_pipe"}
BOUNDS: Any = [{"max_pixels": "50000000"}]


class BackgroundBlur:
    """You are seen, and the room behind you is not: it is blurred, or something else is there."""

    def __init__(self, progress: Progress) -> None:
        self.find = people.ask(progress)
        self.before: Any = None
        self.picture: tuple[Path, Any] | None = None

    def __call__(
        self,
        image: Image,
        behind: Annotated[Behind, Label("Behind you")] = "blur",
        strength: Annotated[int, Range(1, 10), Label("Blur")] = 5,
        softness: Annotated[int, Range(0, 10), Label("Softness of the edge")] = 2,
        picture: Annotated[File | None, MaxSize(20 << 20), Label("Or a picture")] = None,
    ) -> Image:
        person = fitted(self.calmed(self.find(image)), image, softness)
        if picture is not None:
            other = covering(self.opened(picture), image)
        elif behind in COLOURS:
            other = np.full_like(image, COLOURS[behind])
        else:
            other = blurred(image, person, strength)
        return cv2.blendLinear(image, other, person, 1 - person)

    def calmed(self, mask: Any) -> Any:
        """Where it is in doubt it keeps to what it was, lest the edge flickers: but a place that
        somebody has left is the room's at once."""
        if self.before is not None:
            doubt = 4 * mask * (1 - mask)
            mask = mask + 0.8 * doubt * np.minimum(self.before - mask, 0.1)
        self.before = mask
        return mask

    def opened(self, upload: File) -> Any:
        """The uploaded picture. Raises ValueError if it is none."""
        if self.picture is None or self.picture[0] != upload.path:
            self.picture = upload.path, read(upload)
        return self.picture[1]


def fitted(mask: Any, image: Image, softness: int) -> Any:
    """The mask as large as the picture, its edge where the picture has one: a guided filter, found
    on a small picture (He and Sun, 2015). What is less than likely is left out."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, mask.shape[::-1], interpolation=cv2.INTER_AREA) / np.float32(255)
    window = (9, 9)
    level, share = cv2.blur(small, window), cv2.blur(mask, window)
    varies = cv2.blur(small * small, window) - level * level
    slope = (cv2.blur(small * mask, window) - level * share) / (varies + 1e-3)
    lines = slope / 255, share - slope * level
    slope, offset = (cv2.resize(cv2.blur(each, window), image.shape[1::-1]) for each in lines)
    person = np.clip((slope * grey + offset - 0.3) / 0.6, 0, 1)
    return cv2.blur(person, (2 * softness + 1, 2 * softness + 1))


def blurred(image: Image, person: Any, strength: int) -> Any:
    """The picture smoothed by so many hundredths of its height, without the colours of who is in
    front, which would shine around them."""
    height, width = image.shape[:2]
    size = (max(120 * width // height, 1), 120)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    free = 1.01 - cv2.resize(person, size, interpolation=cv2.INTER_AREA)[..., None]
    smooth = cv2.GaussianBlur(np.dstack([small * free, free]), (0, 0), 1.2 * strength)
    colours = smooth[..., :3] / smooth[..., 3:]
    return cv2.resize(colours.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def covering(picture: Any, image: Image) -> Any:
    """The middle of a picture, so large that it fills another."""
    height, width = image.shape[:2]
    scale = max(width / picture.shape[1], height / picture.shape[0])
    across, down = max(round(width / scale), 1), max(round(height / scale), 1)
    left, top = (picture.shape[1] - across) // 2, (picture.shape[0] - down) // 2
    part = picture[top : top + down, left : left + across]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)


def read(upload: File) -> Any:
    """A JPEG, PNG or WebP, upright. Raises ValueError for anything else."""
    try:
        with av.open(upload.path, options=PICTURES, stream_options=BOUNDS) as file:
            frame = next(file.decode(video=0))
            return np.rot90(frame.to_ndarray(format="bgr24"), frame.rotation // 90)
    except (av.error.FFmpegError, StopIteration):
        raise ValueError(
            f"{upload.name} is no picture that can be used; choose a JPEG, PNG or WebP of at most "
            "50 megapixels"
        ) from None


stream = Stream(BackgroundBlur, title="Background blur", lifespan=people.load)

if __name__ == "__main__":
    stream.run()
