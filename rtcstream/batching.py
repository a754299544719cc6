"""Calls of many sessions, made as one: eight pictures take a model little longer than one."""

import asyncio
import inspect
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, get_args, get_origin, overload

from .annotations import hints_of, media
from .errors import ResultError, SignatureError
from .spelling import no_type, shown
from .types import Progress, Session

Result = TypeVar("Result")

MOST = 1024
"""The largest ``max_size``."""
RECENT = 0.5
"""Seconds after a call in which its caller may come again, and is worth waiting for."""


_inside = threading.local()
"""Whether a thread makes a batch just now."""


class _Call:
    """One caller's arguments, and what came of them."""

    def __init__(self, arguments: Mapping[str, Any], lock: threading.Lock) -> None:
        self.arguments = arguments
        self.came_at = time.monotonic()
        self.turn = threading.Condition(lock)
        self.done = False
        self.result: Any = None

    def finish(self, result: Any) -> None:
        self.result, self.done = result, True
        self.turn.notify()


class Batched(Generic[Result]):
    """What ``batched`` makes of a function: it takes one of each, and waits for the batch's end.

    ``calls`` counts the function's, ``items`` what they were given together.
    """

    def __init__(
        self,
        fn: Callable[..., Sequence[Result]],
        max_size: int,
        max_delay: float,
        owner: Any = None,
    ) -> None:
        self.calls = 0
        self.items = 0
        self.max_size = max_size
        self.max_delay = max_delay
        self.__name__: str = getattr(fn, "__name__", type(fn).__name__)
        self.__doc__ = fn.__doc__
        self.__module__ = fn.__module__
        self._fn = fn
        self._of_owner = () if owner is None else (owner,)
        self._lock = threading.Lock()
        self._waiting: deque[_Call] = deque()
        self._busy = False
        self._seen: dict[int, float] = {}
        self._signature: inspect.Signature | None = None

    def __get__(self, instance: Any, owner: type | None = None) -> "Batched[Result]":
        """The method of an instance, whose calls make batches of their own."""
        if instance is None:
            return self
        name = f"_batched_{self.__name__}"
        made = Batched(self._fn, self.max_size, self.max_delay, instance)
        found: Batched[Result] = instance.__dict__.setdefault(name, made)
        return found

    # The signature that a session sees: one of each

    @property
    def __signature__(self) -> inspect.Signature:
        if self._signature is None:
            self._signature = self._of_one()
        return self._signature

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        found = self.__signature__
        hints = {name: each.annotation for name, each in found.parameters.items()}
        return {**hints, "return": found.return_annotation}

    def _of_one(self) -> inspect.Signature:
        signature = inspect.signature(self._fn)
        hints = hints_of(self._fn, self.__name__)
        parameters = list(signature.parameters.values())[len(self._of_owner) :]
        one = [self._parameter(each, hints.get(each.name)) for each in parameters]
        return inspect.Signature(
            one, return_annotation=self._element("return", hints.get("return"))
        )

    def _parameter(self, parameter: inspect.Parameter, hint: Any) -> inspect.Parameter:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise SignatureError(
                self.__name__, parameter.name, "it is given by name: write it without `*` and `/`"
            )
        default = parameter.default
        annotation = self._element(parameter.name, hint, default)
        if default is not parameter.empty:
            if not isinstance(default, list | tuple) or len(default) != 1:
                raise SignatureError(
                    self.__name__,
                    parameter.name,
                    f"its default must be a sequence of one, what a session begins with: write "
                    f"`Sequence[T] = (value,)`, not {default!r}",
                )
            default = default[0]
        return parameter.replace(annotation=annotation, default=default)

    def _element(self, name: str, hint: Any, default: Any = inspect.Parameter.empty) -> Any:
        if get_origin(hint) in (list, Sequence):
            return get_args(hint)[0]
        one = shown(hint)
        place = "-> list[{}]" if name == "return" else f"{name}: list[{{}}]"
        if hint is None:
            text = "it says no type; write what a list has, such as `list[Image]`"
        elif wrong := no_type(hint, place):
            text = wrong
        elif name == "return" or self._is_given(name, hint):
            text = f"`{one}` is of one session; write `{place.format(one)}`"
        else:
            first = "value" if default is inspect.Parameter.empty else repr(default)
            text = f"`{one}` is of one session; write `{name}: Sequence[{one}] = ({first},)`"
        raise SignatureError(
            self.__name__,
            name,
            f"a batched function takes and returns lists, an item for each session: {text}",
        )

    def _is_given(self, name: str, hint: Any) -> bool:
        """Whether it is the session's, and no control."""
        try:
            return media(hint) is not None or hint in (Session, Progress)
        except ValueError as error:
            raise SignatureError(self.__name__, name, f"{error}, in a list") from None

    # The calls

    def __call__(self, *given: Any, **named: Any) -> Result:
        """Call the function with these among others; returns, or raises, what is theirs.

        Blocks until then, so it is not for the event loop, nor for a batched function: RuntimeError
        there.
        """
        if getattr(_inside, "a_batch", False):
            raise RuntimeError(
                f"{self.__name__}() is called by a batched function, which others wait for: call "
                "what is not batched there"
            )
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError(
                f"{self.__name__}() waits for others' calls, which would stop the event loop: call "
                "it from a plain `def`, or as `await asyncio.to_thread(...)`"
            )
        bound = self.__signature__.bind(*given, **named)
        bound.apply_defaults()
        call = _Call(bound.arguments, self._lock)
        with self._lock:
            self._seen[threading.get_ident()] = math.inf
            self._waiting.append(call)
            self._waiting[0].turn.notify()  # who leads may have waited for this one
            try:
                while not call.done:
                    if self._busy or self._waiting[0] is not call:
                        call.turn.wait()
                    elif (seconds := self._worth_waiting(call)) > 0:
                        call.turn.wait(seconds)
                    else:
                        self._run()
            finally:  # also when Ctrl-C ends the waiting
                self._seen[threading.get_ident()] = time.monotonic()
                if call in self._waiting:
                    self._waiting.remove(call)
                if self._waiting and not self._busy:
                    self._waiting[0].turn.notify()
        if isinstance(call.result, BaseException):
            raise call.result
        result: Result = call.result
        return result

    def _worth_waiting(self, first: _Call) -> float:
        """Seconds for which others may yet come to the batch that begins with this call."""
        now = time.monotonic()
        self._seen = {who: at for who, at in self._seen.items() if now - at < RECENT}
        if len(self._waiting) >= min(self.max_size, len(self._seen)):  # all who come are here
            return 0.0
        return first.came_at + self.max_delay - now

    def _run(self) -> None:
        """Make the next batch, on the thread of the first who waits; the lock is let go for it."""
        batch = [self._waiting.popleft() for _ in range(min(self.max_size, len(self._waiting)))]
        self._busy = True
        self._lock.release()
        results: list[Any] = []
        try:
            _inside.a_batch = True
            results = self._results([each.arguments for each in batch])
        finally:
            _inside.a_batch = False
            self._lock.acquire()
            self._busy = False
            if not results:  # Ctrl-C, which is raised where it came
                results = [ResultError("the batch was interrupted") for _ in batch]
            for each, result in zip(batch, results, strict=True):
                each.finish(result)
            if self._waiting:
                self._waiting[0].turn.notify()

    def _results(self, arguments: Sequence[Mapping[str, Any]]) -> list[Any]:
        """What the function returns for each; what it raises stands in the place of whose it is."""
        lists = {name: [each[name] for each in arguments] for name in arguments[0]}
        self.calls += 1
        self.items += len(arguments)
        try:
            results = list(self._fn(*self._of_owner, **lists))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: it is the caller's, and others wait
            if len(arguments) == 1:
                return [error]
            return [self._results([each])[0] for each in arguments]
        if len(results) != len(arguments):
            text = (
                f"it returned {len(results)} for a batch of {len(arguments)}; it must return one "
                "for each, in their order"
            )
            return [ResultError(text) for _ in arguments]
        return results


def batch_of(target: Any) -> Batched[Any] | None:
    """What collects the calls of a function or an instance; None where nothing does."""
    if isinstance(target, Batched):
        return target
    if isinstance(getattr(type(target), "__call__", None), Batched):  # noqa: B004
        found: Batched[Any] = target.__call__
        return found
    return None


@overload
def batched(fn: Callable[..., Sequence[Result]], /) -> Batched[Result]: ...


@overload
def batched(
    *, max_size: int = 8, max_delay: float = 0.005
) -> Callable[[Callable[..., Sequence[Result]]], Batched[Result]]: ...


def batched(fn: Any = None, /, *, max_size: int = 8, max_delay: float = 0.005) -> Any:
    """Make one call of a function out of those of many sessions.

    ``@batched(max_size=8)`` stands over a ``def`` that takes lists and returns a list, an item for
    each session that is ready: ``def detect(images: list[Image], limit: Sequence[Annotated[float,
    Range(0, 1)]] = (0.5,)) -> list[tuple[Image, list[Box]]]``. Give it to a ``Stream`` as it is;
    its controls and ``Session`` arrive as lists too. Or call it from a function of one's own, with
    one of each: ``boxes = detect(image, 0.5)``. A method is batched for each instance.

    At most ``max_size`` (1 to 1024) are taken together, those that have waited longest first. The
    first waits for others at most ``max_delay`` seconds (0 to 1), and not at all when none are
    about. One call at a time, on the thread of one of the callers. When the function raises, each
    is tried alone, so that one bad picture fails only its own session; an exception in the list is
    raised in the session that it stands for.

    Raises ValueError for options, TypeError for what is not a plain ``def``.
    """
    if type(max_size) is not int or not 1 <= max_size <= MOST:
        raise ValueError(f"max_size must be a whole number from 1 to {MOST}, not {max_size!r}")
    if isinstance(max_delay, bool) or not 0 <= max_delay <= 1:
        raise ValueError(f"max_delay must be seconds from 0 to 1, not {max_delay!r}")

    def decorate(fn: Any) -> Batched[Any]:
        if (
            not inspect.isfunction(fn)
            or inspect.iscoroutinefunction(fn)
            or inspect.isgeneratorfunction(fn)
            or inspect.isasyncgenfunction(fn)
        ):
            raise TypeError(f"batched takes a plain `def` that returns a list, not {fn!r}")
        return Batched(fn, max_size, max_delay)

    return decorate if fn is None else decorate(fn)
