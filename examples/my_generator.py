"""Counts: a generator's values, each replacing the last, start anew when a control changes."""

import time
from collections.abc import Iterator
from typing import Annotated

from rtcstream import Label, Range, Stream


def my_generator(x: Annotated[int, Range(1, 100), Label("Count up to")] = 10) -> Iterator[int]:
    """Counts up to x, ten a second."""
    for number in range(x):
        yield number
        time.sleep(0.1)


stream = Stream(my_generator, title="My generator")

if __name__ == "__main__":
    stream.run()
