"""The ``Progress`` that functions get, whoever is told."""

from collections.abc import Callable, Iterable, Iterator, Sized

from .types import Item


def share(value: float) -> float:
    """How far something is, as it is told. Raises ValueError outside 0..1."""
    if not 0 <= value <= 1:
        raise ValueError(f"progress is from 0 to 1, not {value!r}")
    return float(value)


class Reporter:
    """Tells how far something is, by ``tell(value, text)``."""

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self._tell = tell

    def __call__(self, value: float, text: str = "") -> None:
        self._tell(value, text)

    def each(self, items: Iterable[Item], text: str = "") -> Iterator[Item]:
        if not isinstance(items, Sized):
            raise TypeError(f"{type(items).__name__} has no length to tell progress by; list it")
        count = len(items)
        for number, item in enumerate(items):
            self(number / count, text or f"{number} of {count}")
            yield item
        self(1.0, text or f"{count} of {count}")
