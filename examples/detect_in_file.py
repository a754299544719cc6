"""What is in a film, in boxes with names: at the film's own pace, or as fast as it goes.

Upload one on the page, or name one of the server's:

    python -m rtcstream detect_in_file -- --video street.mp4 [--boxes found.jsonl] [--model ...]

The boxes of all its pictures, a line of JSON each, are there to be downloaded at its end.

It finds what the example object_detection does, by the same networks.
"""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import av
import numpy as np

from rtcstream import (
    Box,
    Download,
    File,
    Image,
    Label,
    Live,
    MaxSize,
    Progress,
    Range,
    Session,
    Stream,
    Text,
)
from rtcstream.examples._detectors import detector
from rtcstream.examples._models import options

options()  # what is wrong in it is said before anybody comes

# Films only: FFmpeg would also read playlists, which name other files and hosts.
FILMS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg"}
Boxes = Annotated[Download | None, Label("boxes")]
SHOWN = 15
"""At full speed, the pictures a second that are shown; all are looked at."""


class DetectInFile:
    """What is in a film, in boxes with names: at the film's own pace, or as fast as it goes."""

    def __init__(self, progress: Progress) -> None:
        self.detect = detector.ask(progress)  # without a network nobody needs to choose a film
        self.folder = TemporaryDirectory(prefix="rtcstream-")

    def close(self) -> None:
        self.folder.cleanup()

    def __call__(
        self,
        progress: Progress,
        session: Session,
        video: Annotated[File | None, MaxSize(1 << 30), Label("Film")] = None,
        real_time: Annotated[bool, Label("At its own pace")] = False,
        conf_threshold: Annotated[
            Live[float], Range(0, 1, 0.05), Label("Confidence, at least")
        ] = Live(0.3),
        iou_threshold: Annotated[Live[float], Range(0, 1, 0.05), Label("Overlap, at most")] = Live(
            0.5
        ),
    ) -> Iterator[tuple[Image, list[Box | Text], Annotated[str, Label("So far")], Boxes]]:
        path = video.path if video is not None else options().video
        if path is None:
            yield (
                np.full((360, 640, 3), 40, np.uint8),
                [Text("Choose a film", 24, 24)],
                "nothing",
                None,
            )
            return
        begin, shown_at, things, image = time.monotonic(), 0.0, 0, None
        found = options().boxes or Path(self.folder.name, "found.jsonl")
        with found.open("w", encoding="utf-8") as lines:
            for number, total, frame in pictures(path):
                late = time.monotonic() - begin - (frame.time or 0)
                if real_time and late > 0.1:
                    continue
                time.sleep(max(-late, 0) if real_time else 0)
                image = frame.to_ndarray(format="bgr24")
                boxes = self.detect(image, conf_threshold.value, iou_threshold.value)
                things += len(boxes)
                line = {"time": frame.time, "boxes": [dataclasses.asdict(box) for box in boxes]}
                lines.write(json.dumps(line) + "\n")
                if real_time or time.monotonic() - shown_at >= 1 / SHOWN or number == total:
                    shown_at = time.monotonic()
                    rate = number / max(shown_at - begin, 1e-3)
                    progress(
                        min(number / total, 1), f"picture {number} of {total}, {rate:.0f} a second"
                    )
                    yield image, [*boxes], f"{things} found in {number} pictures", None
        progress(1, "")
        if image is not None:
            yield image, [*boxes], f"{things} found in {number} pictures", session.download(found)


def pictures(path: Path) -> Iterator[tuple[int, int, av.VideoFrame]]:
    """The film's pictures, each after its number, from 1, and about how many there are."""
    with av.open(path, options=FILMS) as film:
        stream = film.streams.video[0]
        seconds = (film.duration or 0) / av.time_base
        total = stream.frames or round(seconds * float(stream.average_rate or 0)) or 1
        for number, frame in enumerate(film.decode(stream), 1):
            yield number, max(total, number), frame


stream = Stream(DetectInFile, title="Detect in a film", lifespan=detector.load)

if __name__ == "__main__":
    stream.run()
