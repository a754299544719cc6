"""Why an offer is not answered, or a file not taken: in HTTP's words."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ControlError, NegotiationError
from .session import MediaSession
from .shared import RunOver, SourceTaken
from .signaling import Problem, session_not_found
from .transport.ports import NoPortFree
from .uploads import Full, TooLarge, UploadBusy
from .wiring import NothingToView

logger = logging.getLogger("rtcstream.session")

RETRY_AFTER = "2"
"""Seconds after which there may be something to view."""
PORT_AFTER = "5"
"""Seconds after which there may be a UDP port."""


@contextmanager
def of_an_offer(session: MediaSession) -> Iterator[None]:
    """Around a negotiation. Raises Problem, and RunOver, after which there may be another run."""
    try:
        yield
    except RunOver:
        raise
    except NothingToView as error:
        raise Problem(409, "Nothing to view", f"{error}.", {"Retry-After": RETRY_AFTER}) from None
    except SourceTaken as error:
        raise Problem(409, "Somebody sends already", f"{error}.") from None
    except NoPortFree as error:
        logger.warning("%s: %s", session.peer.address, error)
        detail = f"{error}; try again when somebody has left."
        raise Problem(503, "No UDP port free", detail, {"Retry-After": PORT_AFTER}) from None
    except NegotiationError as error:
        logger.debug("an offer was refused", exc_info=error)
        if session.given_up:
            raise Problem(
                503, "Too many visitors at once", "Try again.", {"Retry-After": "1"}
            ) from None
        raise Problem(400, "Offer not accepted", f"{str(error)[:500]}.") from None


@contextmanager
def of_a_file(session: MediaSession, most: int) -> Iterator[None]:
    """Around the taking of a file of ``most`` bytes. Raises Problem."""
    try:
        yield
    except TooLarge:
        raise Problem(413, "File too large", f"Send at most {most} bytes.") from None
    except UploadBusy:
        raise Problem(
            409, "Another upload", "Wait until the control's other file is there."
        ) from None
    except FileNotFoundError:  # and its folder with the session
        raise session_not_found() from None
    except ControlError as error:
        raise Problem(400, "Control not accepted", f"{error}.") from None
    except Full:
        raise Problem(507, "No room", "There are too many files now: try later.") from None
    except OSError as error:
        logger.error("%s: a file could not be stored: %s", session.id[:6], error)
        raise Problem(507, "No room", "The server cannot store the file now.") from None
