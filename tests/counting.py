"""A class that counts the pictures of its visitor, to be found again by who comes back."""

import threading
from typing import ClassVar

from rtcstream import Image, Session, testing
from tests.pictures import scene


class Counts:
    """Counts the pictures of its visitor; says when and where it was built, called and closed."""

    log: ClassVar[list[tuple[str, threading.Thread]]]

    def __init__(self) -> None:
        self.pictures = 0
        self.note("built")

    def note(self, what: str) -> None:
        self.log.append((what, threading.current_thread()))

    def __call__(self, image: Image, session: Session, level: int = 0) -> tuple[Image, int]:
        self.pictures += 1
        session.state["pictures"] = session.state.get("pictures", 0) + 1
        assert session.state["pictures"] == self.pictures
        return image, self.pictures

    def close(self) -> None:
        self.note("closed")


def said(counting: type[Counts]) -> list[str]:
    return [what for what, _ in counting.log]


async def count(peer: testing.TestPeer) -> int:
    await peer.apply(scene(160, 120))
    number: int = await peer.result()
    return number
