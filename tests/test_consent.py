"""A peer that falls silent: noticed, forgiven when it is heard again, and gone after a while."""

import asyncio
import gc
from typing import Any

import pytest

from rtcstream import Image, Stream, testing
from rtcstream.transport import consent
from tests.pictures import scene
from tests.waiting import until


def flip(image: Image) -> Image:
    return image[::-1]


def ice(peer: testing.TestPeer) -> Any:
    """The ICE connection of the visitor's end."""
    assert peer._connection.sctp is not None
    return peer._connection.sctp.transport.transport._connection


def test_noticed_in_5_seconds_and_gone_in_15() -> None:
    """The constants keep what they promise, in the worst case; one lost question is none."""
    longest = consent.INTERVAL * 1.2 + sum(0.5 * 2**n for n in range(consent.RETRANSMISSIONS + 1))
    assert longest < consent.SILENT <= 5
    assert consent.GONE + longest < 15


async def test_silent_peer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Silence is told to who listens, and its end to the page; when it lasts, the session ends, and
    nothing is sent into the broken connection."""
    monkeypatch.setattr(consent, "INTERVAL", 0.05)
    monkeypatch.setattr(consent, "RETRANSMISSIONS", 0)
    monkeypatch.setattr(consent, "SILENT", 0.2)
    monkeypatch.setattr(consent, "GONE", 2.5)
    async with testing.connect(Stream(flip)) as peer:
        await peer.apply(scene())
        assert peer.session is not None
        assert peer.session.checked
        told: asyncio.Queue[bool] = asyncio.Queue()
        peer.session.on("silence", told.put_nowait)
        answers = ice(peer).request_received
        ice(peer).request_received = lambda *request: None
        async with asyncio.timeout(10):
            assert await told.get() is True
            ice(peer).request_received = answers
            assert await told.get() is False
            assert "interrupted" in (await peer.message("log"))["message"]
            ice(peer).request_received = lambda *request: None
            ended: asyncio.Queue[str] = asyncio.Queue()
            peer.session.on("closed", ended.put_nowait)
            assert "nothing was heard" in await ended.get()
        gc.collect()  # which is when asyncio tells of errors that nobody took
        assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_data_on_a_broken_path(caplog: pytest.LogCaptureFixture) -> None:
    """What is to be sent again on a path that has just broken is no error that nobody takes."""
    async with testing.connect(Stream(flip)) as peer:
        assert peer.session is not None
        sctp = peer.session._connection.sctp
        assert sctp is not None
        path: Any = sctp.transport.transport._connection
        nominated = dict(path._nominated)
        path._nominated.clear()
        with pytest.raises(ConnectionError):
            await path.send(b"")
        peer.session.info("hello")
        await until(lambda: sctp._sent_queue)
        sctp._t3_expired()
        await asyncio.sleep(0)
        path._nominated.update(nominated)
        sctp._t3_expired()  # as it does by itself, later
        assert (await peer.message("log"))["message"] == "hello"
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_no_timer_outlives_its_association() -> None:
    """Data that is in flight when the connection closes is not sent again, over and over."""
    async with testing.connect(Stream(flip)) as peer:
        assert peer.session is not None
        sctp = peer.session._connection.sctp
        assert sctp is not None
        ice(peer).request_received = lambda *request: None
        path: Any = sctp.transport.transport._connection
        path._nominated.clear()
        peer.session.info("hello")
        await until(lambda: sctp._sent_queue)
        sctp._t3_expired()  # sends in a task, which comes after the end
        await sctp.stop()
        await asyncio.sleep(0)
        assert sctp._t3_handle is None


async def test_peer_that_answers_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that says nothing but answers keeps its session."""
    monkeypatch.setattr(consent, "INTERVAL", 0.02)
    monkeypatch.setattr(consent, "SILENT", 0.5)
    monkeypatch.setattr(consent, "GONE", 0.6)
    async with testing.connect(Stream(flip)) as peer:
        assert peer.session is not None
        told: list[bool] = []
        peer.session.on("silence", told.append)
        await asyncio.sleep(1.0)  # longer than a silent one has
        assert told == []
        await peer.apply(scene())
