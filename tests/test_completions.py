"""Answers of a model by a URL: as they are streamed, and what is said where there are none."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from rtcstream import Samples, Stream, testing
from rtcstream.examples import conversation
from rtcstream.examples._completions import NoAnswer, ask
from rtcstream.testing import TestPeer
from tests.conftest import Serve
from tests.microphone import RATE, speak, whistle
from tests.waiting import until

QUESTION = [{"role": "user", "content": "What is the time?"}]


def event(content: str = "", **rest: Any) -> bytes:
    return (
        f"data: {json.dumps({'choices': [{'delta': {'content': content}, **rest}]})}\n\n".encode()
    )


IT_IS, DONE = event("It is "), b"data: [DONE]\n\n"


async def set_or_left(event: asyncio.Event, request: web.Request) -> None:
    await until(lambda: event.is_set() or request.transport is None)


class Model:
    """A server of which each request gets the next of these answers, or the last again.

    An answer is a status and a body, or parts of a stream: bytes, or an event to wait for; after
    None it breaks off.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str | None, Any]] = []
        self.left = asyncio.Event()
        self.app = web.Application()
        self.app.router.add_post("/v1/chat/completions", self.complete)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append((request.headers.get("Authorization"), await request.json()))
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], text=answer[1])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in answer:
            if part is None:
                assert request.transport is not None
                request.transport.abort()
            elif isinstance(part, asyncio.Event):
                await set_or_left(part, request)
                if request.transport is None:
                    self.left.set()
            else:
                await response.write(part)
        return response


async def whole(url: str, **options: Any) -> str:
    async with aclosing(ask(url, "small", QUESTION, **options)) as parts:
        return "".join([part async for part in parts])


async def test_a_model_answers_by_url(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages go to a server with OpenAI's interface, whose answer comes as it is streamed,
    however its lines are cut."""
    went_on = asyncio.Event()
    role = b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'
    usage = b': a comment\n\ndata: {"choices": [], "usage": {"total_tokens": 7}}\n\n'
    ten = event("ten.")
    model = Model([role, IT_IS, went_on, ten[:20], ten[20:], usage, DONE])
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with serve(model.app) as url:
        parts = []
        async for part in ask(url + "v1", "small", QUESTION):
            went_on.set()  # not before something of it has come
            parts.append(part)
    assert parts == ["It is ", "ten."]
    key, body = model.asked[0]
    assert key == "Bearer secret"
    assert body == {"model": "small", "messages": QUESTION, "stream": True}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, '{"error": {"message": "no such key"}}'), "answered 401 Unauthorized: no such key"),
        ((429, "slow\n down"), "answered 429 Too Many Requests: slow down"),
        ((500, ""), "answered 500 Internal Server Error: it does not say why"),
        ((200, "<html>Welcome</html>"), "without a word: is its URL right"),
        ([IT_IS], "broke off in the middle"),
        ([IT_IS, None], "broke off in the middle"),
        ([None], "broke off before it answered"),
        ([IT_IS, b"data: {oops\n\n"], r"no part of an answer: b'\{oops'"),
        ([b"data: [1, 2]\n\n"], r"no part of an answer: b'\[1, 2\]'"),
        ([IT_IS, b'data: {"error": {"message": "out of memory"}}\n\n'], "gave up: out of memory"),
        ([IT_IS, asyncio.Event()], r"said nothing for 0\.3 seconds"),
        ([asyncio.Event()], r"said nothing for 0\.3 seconds"),
    ],
)
async def test_no_answer_is_a_sentence(serve: Serve, answer: Any, says: str) -> None:
    """Whatever a server does instead of an answer, or to its end, is said."""
    async with serve(Model(answer).app) as url:
        with pytest.raises(NoAnswer, match=says):
            await whole(url + "v1/", patience=0.3)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "nowhere"])
async def test_no_server_is_a_sentence(url: str) -> None:
    """A URL at which there is nothing, or which is none, is said."""
    with pytest.raises(NoAnswer, match=r"cannot be (reached|understood): .*(127|nowhere)"):
        await whole(url)


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch, by_loudness: None) -> Callable[[str], Stream]:
    """The example with a model at this URL, without what recognises and speaks."""

    def make(url: str) -> Stream:
        monkeypatch.setattr(conversation.OPTIONS, "url", url + "v1")
        return Stream(conversation.Conversation)

    def sound(text: str) -> tuple[int, Samples]:
        return RATE, whistle(0.5, hz=700)

    monkeypatch.setattr(conversation, "recognizer", lambda: lambda speech: "What is the time?")
    monkeypatch.setattr(conversation, "speak", sound)
    return make


async def ask_aloud(peer: TestPeer) -> None:
    await speak(peer, np.concatenate([whistle(0.3), np.zeros(RATE * 8 // 10)]))


def shown(message: dict[str, Any]) -> list[str]:
    return [each["text"] for each in message["data"]]


async def test_the_conversation_goes_on(serve: Serve, parrot: Callable[[str], Stream]) -> None:
    """Of an answer that breaks off what has come is said, and why there is no more; the next
    question is answered."""
    model = Model([event("It is ten. Or"), None], (500, "no"), [event("Eleven."), DONE])
    async with serve(model.app) as url, testing.connect(parrot(url)) as peer:
        await peer.message("state", value="listening")
        await ask_aloud(peer)
        assert "middle of its answer." in (await peer.message("log", level="error"))["message"]
        await peer.message("state", value="listening")
        await ask_aloud(peer)
        assert "answered 500" in (await peer.message("log", level="error"))["message"]
        await peer.message("state", value="listening")
        await ask_aloud(peer)
        last = await peer.message("result", run=3)
        assert shown(last)[1:] == ["It is ten. Or", "What is the time?", "What is the time?"]
        assert shown(await peer.message("result", run=3))[-1] == "Eleven."


@pytest.mark.parametrize("first", [b"", event("It is ten. ")])
async def test_an_interruption_cancels_the_request(
    serve: Serve, parrot: Callable[[str], Stream], first: bytes
) -> None:
    """Whoever speaks while an answer is awaited, or written, has its request ended: its connection
    is closed within a second."""
    model = Model([first, asyncio.Event()])
    async with serve(model.app) as url, testing.connect(parrot(url)) as peer:
        await peer.message("state", value="listening")
        await ask_aloud(peer)
        await until(lambda: model.asked)
        if first:
            await peer.message("result")
            await peer.message("result")
        assert not model.left.is_set()
        talking = asyncio.create_task(speak(peer, whistle(1.2)))
        await peer.message("state", value="speaking")
        await asyncio.wait_for(model.left.wait(), 1.0)
        await talking


async def test_a_noise_ends_an_answer_where_it_was_heard(
    serve: Serve, parrot: Callable[[str], Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn without words is not answered; of the answer that it has ended the page shows what was
    heard."""
    words = iter(["Tell me a story.", ""])
    monkeypatch.setattr(conversation, "recognizer", lambda: lambda speech: next(words))
    monkeypatch.setattr(conversation, "speak", lambda text: (RATE, whistle(3.0, hz=700)))
    model = Model([event("One two three four five six seven eight nine ten."), DONE])
    async with serve(model.app) as url, testing.connect(parrot(url)) as peer:
        await peer.message("state", value="listening")
        await ask_aloud(peer)
        await peer.message("result")
        assert shown(await peer.message("result"))[-1].endswith(" ten.")
        peer.sound.clear()
        await peer.hear(0.8)
        await ask_aloud(peer)
        _, answer = shown(await peer.message("result", run=2))
        assert answer.startswith("One") and answer.endswith(" …")
        await peer.message("state", value="listening")
        assert len(model.asked) == 1
