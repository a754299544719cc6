"""Functions that tell all that they know of their session: none may know another's."""

from typing import Annotated, Any

from rtcstream import Block, Image, Samples, Session


def told(kind: str, session: Session, mark: int, text: str, fail: bool) -> dict[str, Any]:
    """What a session's function knows, its marks by who set them: a thousand for each session."""
    if fail:
        raise ValueError(f"the {kind} of {text} fails")
    owners = session.state.setdefault("owners", [])
    if mark // 1000 not in owners:
        owners.append(mark // 1000)
    return {"kind": kind, "mark": mark, "text": text, "owners": list(owners), "id": session.id}


class Instance:
    """Has what it has been called with, too."""

    def __init__(self) -> None:
        self.owners: set[int] = set()

    def __call__(
        self, image: Image, session: Session, mark: int = 0, text: str = "", fail: bool = False
    ) -> tuple[Image, dict[str, Any]]:
        knows = told("video", session, mark, text, fail)
        self.owners.add(mark // 1000)
        return image, {**knows, "instance": sorted(self.owners)}


def of_pictures(
    image: Image, session: Session, mark: int = 0, text: str = "", fail: bool = False
) -> tuple[Image, dict[str, Any]]:
    return image, told("video", session, mark, text, fail)


def of_sound(
    samples: Annotated[Samples, Block(seconds=0.1)],
    session: Session,
    mark: int = 0,
    text: str = "",
    fail: bool = False,
) -> dict[str, Any]:
    return told("audio", session, mark, text, fail)
