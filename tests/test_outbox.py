"""The outbox: order and bounds of what goes to the page; and notices that repeat."""

import asyncio
import json
import threading
from typing import Any, cast

import pytest
from aiortc import RTCDataChannel
from pyee.base import EventEmitter

from rtcstream import MessageError
from rtcstream.messages import Log, Progress, Result, ServerData, State
from rtcstream.outbox import Notices, Outbox


class FakeChannel(EventEmitter):
    """Of aiortc's data channel what the outbox uses; `drain` plays the peer that reads it all."""

    def __init__(self, state: str = "open") -> None:
        super().__init__()
        self.readyState = state
        self.bufferedAmount = 0
        self.bufferedAmountLowThreshold = 0
        self.sent: list[dict[str, Any]] = []

    def send(self, text: str) -> None:
        assert isinstance(text, str)
        self.sent.append(json.loads(text))
        self.bufferedAmount += len(text)

    def drain(self) -> None:
        self.bufferedAmount = 0
        self.emit("bufferedamountlow")

    @property
    def data(self) -> list[Any]:
        return [message["data"] for message in self.sent]


def attach(outbox: Outbox, state: str = "open") -> FakeChannel:
    channel = FakeChannel(state)
    outbox.attach(cast(RTCDataChannel, channel))
    return channel


async def settled() -> None:
    """Returns when the loop has done what was due."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_messages_wait_for_the_channel() -> None:
    """What was said before the page opened its channel is sent when it does, in order."""
    outbox = Outbox(asyncio.get_running_loop())
    outbox.post(State("waiting"))
    outbox.post(ServerData(1))
    await settled()
    channel = attach(outbox)
    assert [message["type"] for message in channel.sent] == ["state", "data"]
    outbox.post(ServerData(2))
    await settled()
    assert channel.sent[2:] == [{"type": "data", "data": 2}]
    assert outbox.dropped == 0


@pytest.mark.parametrize("state", ["connecting", "closing", "closed"])
async def test_nothing_is_sent_unless_the_channel_is_open(state: str) -> None:
    """A channel that is not open is given nothing."""
    outbox = Outbox(asyncio.get_running_loop())
    channel = attach(outbox, state)
    outbox.post(ServerData(1))
    await settled()
    assert channel.sent == []


async def test_posting_from_other_threads() -> None:
    """Threads may post at once; nothing is lost and each thread's order is kept."""
    outbox = Outbox(asyncio.get_running_loop())
    channel = attach(outbox)
    on_loop = threading.get_ident()
    senders = set()
    send = channel.send

    def noted(text: str) -> None:
        senders.add(threading.get_ident())
        send(text)

    channel.send = noted  # type: ignore[method-assign]

    def post(name: str) -> None:
        for number in range(30):
            outbox.post(ServerData([name, number]))

    await asyncio.gather(*(asyncio.to_thread(post, name) for name in "abc"))
    await settled()
    assert senders == {on_loop}, "aiortc's channel belongs to the loop"
    for name in "abc":
        numbers = [number for sender, number in channel.data if sender == name]
        assert numbers == list(range(30))


async def test_a_slow_page() -> None:
    """Beyond its high-water mark the channel gets no more until it has drained."""
    outbox = Outbox(asyncio.get_running_loop())
    channel = attach(outbox)
    text = "x" * 60_000
    for _ in range(20):
        outbox.post(ServerData(text))
    await settled()
    assert len(channel.sent) == 5
    assert channel.bufferedAmount < Outbox.HIGH_WATER + 64 * 1024
    assert 0 < channel.bufferedAmountLowThreshold < Outbox.HIGH_WATER
    for _ in range(3):
        channel.drain()
    assert len(channel.sent) == 20
    assert outbox.dropped == 0


async def test_results_are_given_up_first() -> None:
    """When too many messages wait, the oldest results go, and what is said once stays."""
    outbox = Outbox(asyncio.get_running_loop())
    outbox.post(State("running"))
    for number in range(Outbox.LIMIT + 9):
        outbox.post(Result(number, 0, None, number))
    outbox.post(Log("error", "no"))
    channel = attach(outbox)
    assert len(channel.sent) == Outbox.LIMIT
    assert outbox.dropped == 11
    assert (channel.sent[0]["type"], channel.sent[-1]["type"]) == ("state", "log")
    kept = [message["data"] for message in channel.sent[1:-1]]
    assert kept == list(range(11, Outbox.LIMIT + 9)), "the newest results"


async def test_without_results_the_oldest_is_given_up() -> None:
    """What waits is bounded whatever it is."""
    outbox = Outbox(asyncio.get_running_loop())
    for number in range(Outbox.LIMIT * 2):
        outbox.post(ServerData(number))
    channel = attach(outbox)
    assert channel.data == list(range(Outbox.LIMIT, Outbox.LIMIT * 2))
    assert outbox.dropped == Outbox.LIMIT


async def test_what_cannot_be_sent_is_the_posters_error() -> None:
    """A message without a JSON form is refused where it is posted, and harms no other."""
    outbox = Outbox(asyncio.get_running_loop())
    channel = attach(outbox)
    with pytest.raises(MessageError):
        outbox.post(ServerData({1, 2}))
    outbox.post(Progress(0.5, "half"))
    await settled()
    assert channel.sent == [{"type": "progress", "value": 0.5, "text": "half"}]


async def test_a_closed_outbox() -> None:
    """Closing drops what waits, and everything from then on."""
    outbox = Outbox(asyncio.get_running_loop())
    outbox.post(ServerData(1))
    outbox.close()
    outbox.post(ServerData(2))
    channel = attach(outbox)
    await settled()
    assert channel.sent == []


def test_posting_after_the_loop_has_ended() -> None:
    """A thread that outlives the event loop posts into the void, without an error."""
    loop = asyncio.new_event_loop()
    outbox = Outbox(loop)
    loop.close()
    outbox.post(ServerData(1))
    outbox.post(ServerData(2))


async def test_waiting_until_all_is_sent() -> None:
    """`drained` returns when the peer has everything, and not before."""
    outbox = Outbox(asyncio.get_running_loop())
    channel = attach(outbox)
    outbox.post(ServerData(1))
    waiting = asyncio.ensure_future(outbox.drained(10))
    await settled()
    assert not waiting.done()
    channel.drain()
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("state", ["none", "closed", "stuck"])
async def test_waiting_for_nothing(state: str) -> None:
    """`drained` does not wait for a page that has gone, and only so long for one that is stuck."""
    outbox = Outbox(asyncio.get_running_loop())
    if state != "none":
        attach(outbox, state if state == "closed" else "open")
    outbox.post(ServerData(1))
    await settled()
    await asyncio.wait_for(outbox.drained(0.05 if state == "stuck" else 60), 5)


async def test_waiting_for_the_channel() -> None:
    """`attached` returns when the page has opened it; or after a while, or when all is over."""
    outbox = Outbox(asyncio.get_running_loop())
    await outbox.attached(0.02)
    waiting = asyncio.ensure_future(outbox.attached(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    attach(outbox)
    await asyncio.wait_for(waiting, 5)
    other = Outbox(asyncio.get_running_loop())
    other.close()
    await asyncio.wait_for(other.attached(60), 5)


# Notices


def test_a_line_is_said_once() -> None:
    """A line goes out at once; its repeats wait for the tick, which says how many there were."""
    notices = Notices()
    assert notices.say("error", "no") == Log("error", "no", 1)
    assert [notices.say("error", "no") for _ in range(29)] == [None] * 29
    assert notices.tick() == [Log("error", "no", 30)]
    assert notices.tick() == []
    assert notices.say("error", "no") is None
    assert notices.tick() == [Log("error", "no", 31)]


def test_the_level_is_part_of_a_line() -> None:
    """The same words as a warning and as an error are two lines."""
    notices = Notices()
    assert notices.say("warning", "no") == Log("warning", "no")
    assert notices.say("error", "no") == Log("error", "no")


def test_lines_that_differ_each_time() -> None:
    """Of ever new lines only a few go out between two ticks; the rest are counted."""
    notices = Notices()
    said = [notices.say("info", f"frame {number}") for number in range(30)]
    assert said[: Notices.PER_TICK] == [
        Log("info", f"frame {number}") for number in range(Notices.PER_TICK)
    ]
    assert not any(said[Notices.PER_TICK :])
    assert notices.tick() == [
        Log("warning", f"{30 - Notices.PER_TICK} more messages in one second")
    ]
    assert notices.say("info", "frame 30") is not None, "a new tick, new lines"
    assert notices.tick() == []


def test_a_line_that_was_held_back_is_said_later() -> None:
    """A line for which there was no room is new when it comes again."""
    notices = Notices()
    for number in range(Notices.PER_TICK):
        notices.say("info", str(number))
    assert notices.say("error", "no") is None
    notices.tick()
    assert notices.say("error", "no") == Log("error", "no", 1)


def test_repeats_take_no_room() -> None:
    """However often one line is repeated, others are still said."""
    notices = Notices()
    for _ in range(100):
        notices.say("error", "no")
    assert notices.say("info", "yes") is not None


def test_what_is_remembered_is_bounded() -> None:
    """Old lines are forgotten, so that a session of days keeps no more than one of minutes."""
    notices = Notices()
    notices.say("info", "first")
    notices.say("info", "first")
    for number in range(Notices.REMEMBERED):
        notices.tick()
        notices.say("info", str(number))
    assert notices.say("info", "first") == Log("info", "first", 1)
    assert notices.tick() == []
    notices.say("info", "first")
    assert notices.tick() == [Log("info", "first", 2)]
