"""What all sessions need: loaded once, waited for, told of, and put away at the end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp
import pytest

from rtcstream import Image, Progress, SignatureError, Stream, lifespan, testing
from rtcstream.server import ServerOptions, listening
from tests.pictures import plain
from tests.waiting import until

VARIABLE = ContextVar("VARIABLE", default=0)
PICTURE = plain((90,) * 3, 64, 48)


class Model:
    """A model that loads when the test lets it, and notes what is done with it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.go = threading.Event()

    def load(self, progress: Progress) -> Iterator[None]:
        self.log.append("loads")
        progress(0.25, "reading the weights")
        assert self.go.wait(10)
        assert list(progress.each("ab")) == ["a", "b"]
        self.log.append("loaded")
        yield
        self.log.append("put away")

    def apply(self, image: Image) -> Image:
        assert self.log[-1] == "loaded"
        return image


async def test_loaded_once_and_waited_for() -> None:
    """Sessions that begin while it loads say so, with how far it is; their functions are called
    when it is there, and it is put away with the server's end."""
    model = Model()
    sessions = Stream(model.apply, lifespan=model.load).sessions()
    async with testing.connect(sessions) as one, testing.connect(sessions) as two:
        for peer in (one, two):
            await peer.message("state", value="loading")
            told = await peer.message("progress")
            assert (told["value"], told["text"]) == (0.25, "reading the weights")
            peer.send(PICTURE)
        assert all(not peer.session._wiring.workers[0].calls for peer in (one, two) if peer.session)
        model.go.set()
        await one.message("state", value="running")
        await one.apply(PICTURE)
        await two.apply(PICTURE)
    async with testing.connect(sessions) as late:
        await late.apply(PICTURE)
        assert not any(message.get("value") == "loading" for message in late.messages)
    assert model.log == ["loads", "loaded"]
    await sessions.end_all("the server stopped")
    assert model.log == ["loads", "loaded", "put away"]


async def test_a_session_that_ends_while_it_loads() -> None:
    """Who leaves before it is there holds nothing up, and is not called after all."""
    model = Model()
    sessions = Stream(model.apply, lifespan=model.load).sessions()
    async with testing.connect(sessions) as peer:
        await peer.message("progress")
        assert peer.session is not None
        [worker] = peer.session._wiring.workers
    await until(lambda: not worker.running)
    assert model.log == ["loads"] and not worker.calls
    model.go.set()
    await sessions.end_all("the server stopped")
    assert model.log[-1] == "put away"


async def test_what_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is told to each session in words, and it is tried again by itself."""
    monkeypatch.setattr(lifespan, "AGAIN", 0.3)
    tries: list[int] = []

    def load() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise FileNotFoundError("weights.onnx")

    def same(image: Image) -> Image:
        return image

    sessions = Stream(same, lifespan=load).sessions()
    async with testing.connect(sessions) as peer:
        log = await peer.message("log", level="error")
        assert "load() could not be loaded: FileNotFoundError: weights.onnx" in log["message"]
        assert (await peer.message("end"))["reason"] == "load_failed"
    await until(lambda: sessions.runner.loaded)
    async with testing.connect(sessions) as peer:
        await peer.apply(PICTURE)
    await sessions.end_all("the server stopped")
    assert len(tries) == 2


async def test_a_failure_is_forgotten_with_the_last_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins anew after all have left does not wait for the attempt that was planned."""
    monkeypatch.setattr(lifespan, "AGAIN", 60.0)
    tries: list[int] = []

    def load() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise FileNotFoundError("weights.onnx")

    stream = Stream(plain_filter, lifespan=load)
    failed = stream.sessions()
    async with testing.connect(failed) as peer:
        await peer.message("log", level="error")
    assert stream.lifespan is not None
    planned = stream.lifespan._timer
    assert planned is not None and not planned.cancelled()
    await failed.end_all("the server stopped")
    assert planned.cancelled()
    sessions = stream.sessions()
    async with testing.connect(sessions) as peer:
        await peer.apply(PICTURE)
    await sessions.end_all("the server stopped")
    assert len(tries) == 2


def kinds(log: list[str]) -> list[Callable[..., Any]]:
    """A function of each kind that may stand there."""

    def plain_function() -> None:
        log.append("begins")

    def generator() -> Iterator[None]:
        log.append("begins")
        yield
        log.append("ends")

    async def coroutine() -> None:
        await asyncio.sleep(0)
        log.append("begins")

    async def async_generator(progress: Progress) -> AsyncIterator[None]:
        token = VARIABLE.set(1)
        async with asyncio.timeout(None):  # which wants to be left by the task that entered it
            log.append("begins")
            yield
            log.append("ends")
        VARIABLE.reset(token)

    return [
        plain_function,
        generator,
        contextmanager(generator),
        coroutine,
        async_generator,
        asynccontextmanager(async_generator),
    ]


@pytest.mark.parametrize("number", range(6))
async def test_every_kind(number: int) -> None:
    """Plain or async; a function, a generator or a context manager."""
    log: list[str] = []
    load = kinds(log)[number]

    def same(image: Image) -> Image:
        assert log == ["begins"]
        return image

    sessions = Stream(same, lifespan=load).sessions()
    async with testing.connect(sessions) as peer:
        await peer.apply(PICTURE)
    await sessions.end_all("the server stopped")
    assert log == (["begins"] if number in (0, 3) else ["begins", "ends"])


async def test_served() -> None:
    """A server loads when it starts, not when somebody comes; it is up meanwhile, and says that it
    is not ready; two applications of one stream load once."""
    model = Model()
    stream = Stream(model.apply, lifespan=model.load)
    app = aiohttp.web.Application()
    app.add_subapp("/one/", stream.app())
    app.add_subapp("/two/", stream.app())
    async with listening(app, ServerOptions(port=0)) as url, aiohttp.ClientSession() as client:
        await until(lambda: model.log == ["loads"])
        async with client.get(url + "one/stream.json") as answer:
            assert answer.status == 200
        async with client.get(url + "readyz") as answer:
            assert answer.status == 503 and "Not loaded yet: apply" in await answer.text()
        model.go.set()
        await until(lambda: stream.lifespan is not None and stream.lifespan.ready)
        async with client.get(url + "readyz") as answer:
            assert answer.status == 200
    assert model.log == ["loads", "loaded", "put away"]


async def test_a_constructor_that_tells_its_progress() -> None:
    """A class that takes long to build may take a Progress for it."""

    class Slow:
        def __init__(self, progress: Progress) -> None:
            progress(0.5, "half built")

        def __call__(self, image: Image) -> Image:
            return image

    async with testing.connect(Stream(Slow)) as peer:
        assert (await peer.message("progress"))["text"] == "half built"
        await peer.apply(PICTURE)


def test_what_cannot_be() -> None:
    """What is no function, takes more, or would load elsewhere is refused when the stream is
    built."""

    def two(one: int, other: int) -> None: ...

    def none() -> None: ...

    class Needs:
        def __init__(self, path: str) -> None: ...

        def __call__(self, image: Image) -> Image:
            return image

    with pytest.raises(TypeError, match="must be a function, not 3"):
        Stream(Model().apply, lifespan=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"two\(\) must take nothing, or one parameter, a Progress"):
        Stream(Model().apply, lifespan=two)
    with pytest.raises(ValueError, match="constructor of a class"):
        Stream(plain_filter, lifespan=none, isolation="process")
    with pytest.raises(SignatureError, match="needs 'path'"):
        Stream(Needs)


def plain_filter(image: Image) -> Image:
    return image
