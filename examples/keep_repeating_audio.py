"""Record something with your microphone, and hear it ten times, one right after the other."""

from collections.abc import Iterator
from typing import Annotated

from rtcstream import Limit, Range, Recording, Samples, Stream


def keep_repeating_audio(
    take: Annotated[Recording, Limit(seconds=30)], times: Annotated[int, Range(1, 20)] = 10
) -> Iterator[tuple[int, Samples]]:
    """Record something with your microphone, and hear it again and again."""
    for _ in range(times):
        yield take.rate, take.samples


stream = Stream(keep_repeating_audio)

if __name__ == "__main__":
    stream.run()
