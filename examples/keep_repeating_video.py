"""Record something with camera and microphone, and see it ten times, one right after the other."""

from collections.abc import Iterator
from typing import Annotated

from rtcstream import Limit, Range, Stream, VideoChunk, VideoRecording


def keep_repeating_video(
    take: Annotated[VideoRecording, Limit(seconds=30)], times: Annotated[int, Range(1, 20)] = 10
) -> Iterator[VideoChunk]:
    """Record something with camera and microphone, and see it again and again."""
    for _ in range(times):
        yield take.path


stream = Stream(keep_repeating_video)

if __name__ == "__main__":
    stream.run()
