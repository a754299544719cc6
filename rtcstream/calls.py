"""One session's function: built, called and closed, always on the session's worker thread."""

import asyncio
import contextlib
import inspect
import os
import sysconfig
import threading
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import av

from . import media
from .errors import ResultError, SessionClosed
from .results import to_json
from .signature import ResultSlot, Signature

# Files of this package itself (its examples lie below, and are like a user's) and of Python's.
_HERE = os.path.dirname(__file__)
_NOT_THE_USERS = (
    *(os.path.join(_HERE, name) for name in os.listdir(_HERE) if name.endswith(".py")),
    os.path.join(_HERE, "transport"),
    sysconfig.get_path("stdlib"),
    "<frozen ",
)


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a picture to send (None: the last one stays), and named results."""

    picture: av.VideoFrame | None
    results: tuple[tuple[str | None, Any], ...]


class Call:
    """The function of one session, ready to be called with av frames.

    ``lock`` is held during a call of an instance, which all sessions share. Coroutines run on
    ``loop`` while the worker thread waits for them: so both kinds of function are one path.
    """

    def __init__(
        self,
        signature: Signature,
        session: Any,
        loop: asyncio.AbstractEventLoop,
        lock: threading.Lock,
    ) -> None:
        self.signature = signature
        self._session = session
        self._loop = loop
        self._lock = lock
        self._target: Any = None
        self._closed = False
        self._task: asyncio.Task[Any] | None = None

    def open(self) -> None:
        """Build the class, if it is one. Raises whatever its constructor does."""
        signature = self.signature
        self._target = signature.target() if signature.kind == "class" else signature.target

    def __call__(self, frame: av.VideoFrame, values: dict[str, Any]) -> Outcome:
        """Call the function with ``values``, which become its own.

        Raises what it raises, ResultError, or SessionClosed.
        """
        signature = self.signature
        image: Any = frame
        if signature.image_in != "frame":
            image = media.to_array(frame, signature.image_in)
        size = (frame.width, frame.height)
        if signature.session_parameter is not None:
            values[signature.session_parameter] = self._session
        positional: tuple[Any, ...] = ()
        if signature.image_positional:
            positional = (image,)
        else:
            values[signature.image_parameter] = image
        return self._outcome(self._run(positional, values), size)

    def cancel(self) -> None:
        """The session has ended: a coroutine that runs is cancelled; from any thread."""
        self._closed = True
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the coroutine with it
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Call the class's ``close()``, if it has one. Raises whatever that does."""
        close = getattr(self._target, "close", None)
        if self.signature.kind == "class" and callable(close):
            closing = close()
            if inspect.iscoroutine(closing):
                asyncio.run_coroutine_threadsafe(closing, self._loop).result()

    def _run(self, positional: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
        if self.signature.kind != "instance":
            return self._finish(self._target(*positional, **arguments))
        with self._lock:
            if self._closed:
                raise SessionClosed("the session ended while it waited for the shared instance")
            return self._finish(self._target(*positional, **arguments))

    def _finish(self, returned: Any) -> Any:
        if not self.signature.is_async and not inspect.iscoroutine(returned):
            return returned
        coroutine: Coroutine[Any, Any, Any] = returned
        # The task is cancelled rather than this future, which would return at once: until the
        # coroutine has really ended, neither close() nor another session's call may begin.
        return asyncio.run_coroutine_threadsafe(self._tracked(coroutine), self._loop).result()

    async def _tracked(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._closed:
            coroutine.close()
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        try:
            return await coroutine
        finally:
            self._task = None

    # What came back

    def _outcome(self, returned: Any, size: tuple[int, int]) -> Outcome:
        signature = self.signature
        slots = signature.results
        if signature.image_out is None:
            if not slots:
                if returned is not None:
                    raise ResultError(
                        f"it returned {_kind(returned)}, but its signature says -> None"
                    )
                return Outcome(None, ())
            return Outcome(None, _results(slots, (returned,), size))
        if not slots:
            if isinstance(returned, tuple):
                raise ResultError(
                    f"it returned {_kind(returned)}, but its signature promises an image alone; "
                    "write `-> tuple[Image, T]` for results beside it"
                )
            return Outcome(self._picture(returned), ())
        if returned is None and signature.image_optional:
            return Outcome(None, ())
        if not isinstance(returned, tuple) or len(returned) != 1 + len(slots):
            raise ResultError(
                f"it returned {_kind(returned)}, but its signature promises a tuple of an image "
                f"and {len(slots)} more"
            )
        results = _results(slots, returned[1:], size)
        return Outcome(self._picture(returned[0]), results)

    def _picture(self, image: Any) -> av.VideoFrame | None:
        form = self.signature.image_out
        if image is None:
            if self.signature.image_optional:
                return None
            raise ResultError(
                "it returned None, but its signature promises an image; "
                "write `-> Image | None` if there may be nothing new"
            )
        if form == "frame":
            if isinstance(image, av.VideoFrame):
                return image
            raise ResultError(f"it returned {_kind(image)}, but promises an av.VideoFrame")
        return media.to_frame(image, form or "bgr24")


def _results(
    slots: tuple[ResultSlot, ...], values: tuple[Any, ...], size: tuple[int, int]
) -> tuple[tuple[str | None, Any], ...]:
    named = []
    for number, (slot, value) in enumerate(zip(slots, values, strict=True), 1):
        if value is None:
            if slot.optional:
                continue
            raise ResultError("a result is None; write `T | None` if there may be nothing to say")
        name = slot.name or (None if len(slots) == 1 else f"result {number}")
        named.append((name, to_json(value, size)))
    return tuple(named)


def _kind(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def describe_error(error: BaseException, signature: Signature) -> str:
    """One line for the page: what was raised, and the line of the user's own code it came from."""
    name = signature.name
    if isinstance(error, ResultError):
        return f"{name}(): {error}"
    text = f"{name}() raised {type(error).__name__}"
    try:
        said = str(error)
    except Exception:  # the user's own __str__: a fault in it must not end the worker
        said = "it cannot say what: its __str__ raises"
    if type(error).__module__ == "cv2":  # its text begins with a path and a page of C++
        text = f"{name}() raised cv2.error"
        said = " ".join(getattr(error, "err", said).replace("> ", "").split())
    if said:
        text += f": {said[:500]}"
    # The deepest line that is neither ours nor a library's: where its author should look.
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_NOT_THE_USERS) and "site-packages" not in frame.filename:
            return f"{text} ({os.path.basename(frame.filename)}, line {frame.lineno})"
    return text
