"""One session's function: built, called and closed, always on the session's worker thread."""

import asyncio
import contextlib
import inspect
import os
import sysconfig
import threading
import traceback
from collections.abc import Awaitable, Generator
from typing import Any, Protocol

import av

from . import media
from .errors import LoadingFailed, ResultError, SessionClosed
from .faults import WorkerError
from .lifespan import Lifespan
from .outcomes import Outcome, Outcomes
from .reporting import Reporter
from .signature import Signature

# Files of this package itself (its examples lie below, and are like a user's) and of Python's.
_HERE = os.path.dirname(__file__)
_NOT_THE_USERS = (
    *(os.path.join(_HERE, name) for name in os.listdir(_HERE) if name.endswith(".py")),
    os.path.join(_HERE, "transport"),
    sysconfig.get_path("stdlib"),
    "<frozen ",
)


class AnyCall(Protocol):
    """What a worker thread needs of a function, wherever that runs."""

    signature: Signature
    starting: bool
    """Whether a call waits for what is to run it, rather than for the function."""
    outlives_session: bool
    """Whether a call that never returns goes on when its session has ended."""
    opened: bool
    """Whether it is ready."""

    @property
    def keeps_instance(self) -> bool:
        """Whether it has built a class's instance that another session's ``Call`` can inherit."""

    @property
    def clipped(self) -> int:
        """Samples so far that were louder than full scale."""

    def open(self) -> None:
        """Get ready; raises what the class's constructor does."""

    def of_picture(self, frame: av.VideoFrame, values: dict[str, Any]) -> Outcome:
        """Call the function with a picture; raises what it does."""

    def of_sound(self, block: Any, values: dict[str, Any]) -> Outcome:
        """Call the function with a block of sound; raises the same."""

    def generate(
        self, given: Any, values: dict[str, Any]
    ) -> Generator[Outcome | ResultError, None, None]:
        """Run the generator, or call the function once."""

    def cancel(self) -> None:
        """The session has ended; from any thread."""

    def interrupt(self) -> None:
        """The run is over; from any thread."""

    def resume(self) -> None:
        """Another run begins."""

    def close(self) -> None:
        """End; raises what the class's ``close()`` does."""


class Call:
    """The function of one session, ready to be called on this thread.

    ``lock`` is held during a call of an instance, which all sessions share. Coroutines run on
    ``loop`` while the worker thread waits for them: so both kinds of function are one path.
    """

    outlives_session = True

    def __init__(
        self,
        signature: Signature,
        session: Any,
        loop: asyncio.AbstractEventLoop,
        lock: threading.Lock,
        lifespan: Lifespan | None = None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self.signature = signature
        self._session = session
        self._loop = loop
        self._lock = lock
        self._lifespan = lifespan
        self.starting = False
        self._outcomes = Outcomes(signature) if outcomes is None else outcomes
        self._target: Any = None
        self.opened = False
        self._closed = False
        self._interrupted = False
        self._task: asyncio.Task[Any] | None = None

    @property
    def keeps_instance(self) -> bool:
        return self.signature.kind == "class"

    @property
    def clipped(self) -> int:
        """Samples so far that were louder than full scale."""
        return self._outcomes.clipped

    def open(self) -> None:
        """Wait for what all sessions need, and build the class, if it is one. Raises LoadingFailed,
        and whatever the constructor does."""
        if self._lifespan is not None and not self._lifespan.ready:
            self._session.on_state("loading")
            self.starting = True
            try:
                if not self._lifespan.wait(self._session.progress, lambda: self._closed):
                    return
            finally:
                self.starting = False
        self._target = self._built()
        self.opened = True

    def _built(self) -> Any:
        signature = self.signature
        if signature.kind != "class":
            return signature.target
        name = signature.constructor_progress
        return signature.target(
            **({} if name is None else {name: Reporter(self._session.progress)})
        )

    def inherit(self, other: "Call") -> None:
        """Have the class that another session's call has built, which is not to close it."""
        self._target, self.opened = other._target, other.opened

    def of_picture(self, frame: av.VideoFrame, values: dict[str, Any]) -> Outcome:
        """Call the function with a picture; raises what it does, ResultError, or SessionClosed."""
        form = self.signature.picture_in
        size = (frame.width, frame.height)
        image = frame if form is None or form == "frame" else media.to_array(frame, form)
        return self.of_image(image, size, values)

    def of_image(self, image: Any, size: tuple[int, int], values: dict[str, Any]) -> Outcome:
        """The same with a picture as the function takes it; ``size`` is its (width, height)."""
        return self._outcomes.check(self._call(image, values), size)

    def of_sound(self, block: Any, values: dict[str, Any]) -> Outcome:
        """Call the function with a block of sound; raises the same."""
        return self._outcomes.check(self._call(block, values), None)

    def generate(
        self, given: Any, values: dict[str, Any]
    ) -> Generator[Outcome | ResultError, None, None]:
        """Run the generator, or call the function once. Closing this closes the generator; raises
        what it raises.

        A thing that it yields and must not comes as the error, so that it may go on.
        """
        generator = self._call(given, values)
        if not self.signature.out.generator:
            yield self._outcomes.check(generator, None)
            return
        if not hasattr(generator, "__next__") and not hasattr(generator, "__anext__"):
            generator = aiter(generator) if hasattr(generator, "__aiter__") else iter(generator)
        asynchronous = hasattr(generator, "__anext__")
        try:
            while True:
                try:
                    item = self._next(generator) if asynchronous else next(generator)
                except (StopIteration, StopAsyncIteration):
                    return
                try:
                    outcome: Outcome | ResultError = self._outcomes.check(item, None)
                except ResultError as error:
                    outcome = error
                yield outcome
        finally:
            if hasattr(generator, "aclose"):
                self._finish(generator.aclose(), closing=True)
            elif hasattr(generator, "close"):
                generator.close()

    def _next(self, generator: Any) -> Any:
        async def following() -> Any:  # run_coroutine_threadsafe wants a real coroutine
            return await anext(generator)

        return self._finish(following())

    def cancel(self) -> None:
        """The session has ended: a coroutine that runs is cancelled; from any thread."""
        self._closed = True
        self._cancel_soon()

    def interrupt(self) -> None:
        """The run is over: a coroutine is cancelled, until ``resume``; from any thread."""
        self._interrupted = True
        self._cancel_soon()

    def resume(self) -> None:
        """Another run begins."""
        self._interrupted = False

    @property
    def _unwanted(self) -> bool:
        return self._closed or self._interrupted

    def _cancel_soon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the coroutine with it
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None and self._unwanted:
            self._task.cancel()

    def close(self) -> None:
        """Call the class's ``close()``, if it has one. Raises whatever that does."""
        close = getattr(self._target, "close", None)
        if self.signature.kind == "class" and callable(close):
            self._finish(close(), closing=True)

    def _call(self, given: Any, values: dict[str, Any]) -> Any:
        """Call the function with what it takes, and with what is injected."""
        signature, arguments = self.signature, values
        if signature.session_parameter is not None:
            arguments[signature.session_parameter] = self._session
        if signature.progress_parameter is not None:
            arguments[signature.progress_parameter] = Reporter(self._session.progress)
        positional: tuple[Any, ...] = ()
        if signature.media_positional:
            positional = (given,)
        elif signature.media_parameter is not None:
            arguments[signature.media_parameter] = given
        if signature.kind != "instance":
            return self._finish(self._target(*positional, **arguments))
        with self._lock:
            if self._closed:
                raise SessionClosed("the session ended while it waited for the shared instance")
            return self._finish(self._target(*positional, **arguments))

    def _finish(self, returned: Any, closing: bool = False) -> Any:
        if not inspect.isawaitable(returned):
            return returned

        # The task is cancelled rather than this future, which would return at once: until the
        # coroutine has really ended, neither close() nor another session's call may begin.
        return asyncio.run_coroutine_threadsafe(
            self._tracked(returned, closing), self._loop
        ).result()

    async def _tracked(self, awaitable: Awaitable[Any], closing: bool) -> Any:
        if self._unwanted and not closing:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise asyncio.CancelledError
        self._task = None if closing else asyncio.current_task()
        try:
            return await awaitable
        finally:
            self._task = None


def describe_error(error: BaseException, signature: Signature) -> str:
    """One line for the page: what was raised, and the line of the user's own code it came from."""
    name = signature.name
    if isinstance(error, WorkerError | LoadingFailed):
        return str(error)
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
        if (
            not frame.filename.startswith(_NOT_THE_USERS)
            and "site-packages" not in frame.filename
            and os.path.exists(frame.filename)  # compiled libraries name files that are not there
        ):
            return f"{text} ({os.path.basename(frame.filename)}, line {frame.lineno})"
    return text
