"""A film from the server's disk with its sound, paused and sought while it plays.

Name it after ``--``: python -m rtcstream play_file -- holiday.mp4. Without a name it is a balloon
over the hills, drawn on the spot.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np

from rtcstream import Image, Label, Live, Range, Samples, Stream
from rtcstream.examples._film import drawn_film

RATE = 48_000


def play_file(
    start: Annotated[float, Range(0, 1, 0.01), Label("Start at")] = 0.0,
    paused: Live[bool] = Live(False),
) -> Iterator[tuple[Image, Samples]]:
    """A film from the server's disk with its sound, paused and sought while it plays."""
    film = Path(sys.argv[1]) if len(sys.argv) > 1 else drawn_film()
    with av.open(film) as container:
        begin = int(start * (container.duration or 0))  # in microseconds
        container.seek(begin)  # to the last keyframe before
        picture: Any = None
        resampler = av.AudioResampler("fltp", "stereo", RATE)
        waiting: Any = np.zeros((2, 0), np.float32)
        for frame in container.decode(*container.streams.video[:1], *container.streams.audio[:1]):
            if not isinstance(frame, av.AudioFrame | av.VideoFrame):
                continue  # what is left are subtitles
            if (frame.time or 0) * av.time_base < begin:
                continue
            while paused.value and picture is not None:
                yield picture, np.zeros((2, RATE // 20), np.float32)
            if isinstance(frame, av.AudioFrame):
                for part in resampler.resample(frame):
                    waiting = np.concatenate([waiting, part.to_ndarray()], axis=1)
                continue
            if picture is not None:
                yield picture, waiting
                waiting = waiting[:, :0]
            picture = frame.to_ndarray(format="bgr24")
        if picture is not None:
            yield picture, waiting


stream = Stream(play_file, title="Play a file")

if __name__ == "__main__":
    stream.run()
