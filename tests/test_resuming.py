"""A connection is lost, and the visitor comes back: what is as it was, for whom, and how long."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from rtcstream import Image, Session, Stream, resuming, testing
from rtcstream.negotiator import Sessions
from rtcstream.signaling import Problem
from rtcstream.transport import consent
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.types import Peer
from tests.conftest import Leaks
from tests.counting import Counts, count, said
from tests.pictures import scene
from tests.test_endings import offering
from tests.waiting import until

ICE = IceOptions(addresses=LOOPBACK)


@pytest.fixture
def sessions(counting: type[Counts]) -> Sessions:
    return Stream(counting).sessions()


async def lose(peer: testing.TestPeer) -> str:
    """The network is gone, as the server finds out at last; returns the session's id."""
    assert peer.session is not None
    ice: Any = peer._connection.sctp.transport.transport._connection  # type: ignore[union-attr]
    for protocol in ice._protocols:
        protocol.transport.abort()
    await asyncio.wait_for(peer.session.closed.wait(), 10)
    return peer.session.id


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that notices within seconds that nothing comes any more."""
    monkeypatch.setattr(consent, "INTERVAL", 0.2)
    monkeypatch.setattr(consent, "RETRANSMISSIONS", 0)
    monkeypatch.setattr(consent, "GONE", 0.6)


async def test_who_comes_back_finds_all_as_it_was(
    impatient: None, counting: type[Counts], sessions: Sessions, leaks: Leaks
) -> None:
    """State and the class's instance live on, on its thread, and it is closed once, at the end."""
    async with leaks():
        async with testing.connect(sessions) as peer:
            assert [await count(peer), await count(peer)] == [1, 2]
            lost = await lose(peer)
        assert len(sessions) == 0 and len(sessions._keeper) == 1
        async with testing.connect(sessions, resume=lost, controls={"level": 4}) as peer:
            assert await count(peer) == 3
            assert peer.values == {"level": 4}
            assert len(sessions._keeper) == 0
            lost = await lose(peer)
        async with testing.connect(sessions, resume=lost) as peer:
            assert await count(peer) == 4
            assert said(counting) == ["built"]
        await until(lambda: said(counting) == ["built", "closed"])
        assert counting.log[0][1] is counting.log[1][1], "both on the instance's own thread"


async def test_not_after_its_time(
    impatient: None, monkeypatch: pytest.MonkeyPatch, counting: type[Counts], sessions: Sessions
) -> None:
    """What nobody comes back for is given up, closed, and gone; who comes later begins anew."""
    assert 25 <= resuming.KEEP_SECONDS <= 35
    monkeypatch.setattr(resuming, "KEEP_SECONDS", 0.2)
    async with testing.connect(sessions) as peer:
        assert await count(peer) == 1
        lost = await lose(peer)
    await until(lambda: said(counting) == ["built", "closed"])
    assert len(sessions._keeper) == 0
    async with testing.connect(sessions, resume=lost) as peer:
        assert await count(peer) == 1


async def test_a_goodbye_leaves_nothing(counting: type[Counts], sessions: Sessions) -> None:
    """After a DELETE, an end of the server's, or a closed connection there is nothing to resume."""
    for number, goodbye in enumerate(("delete", "end", "close"), 1):
        async with testing.connect(sessions) as peer:
            assert await count(peer) == 1
            assert peer.session is not None
            if goodbye == "delete":
                await sessions.close(peer.session.id)
            elif goodbye == "end":
                await peer.session.end("time_limit")
            else:
                await peer._connection.close_within(2)
                await asyncio.wait_for(peer.session.closed.wait(), 5)
            ended = peer.session.id
        await until(lambda: len(said(counting)) % 2 == 0)
        assert said(counting) == ["built", "closed"] * number
        assert len(sessions._keeper) == 0
    async with testing.connect(sessions, resume=ended) as peer:
        assert await count(peer) == 1


async def test_who_stops_while_it_was_lost(counting: type[Counts], sessions: Sessions) -> None:
    """A DELETE of a session that is kept only frees what is kept."""
    async with testing.connect(sessions) as peer:
        assert await count(peer) == 1
        assert peer.session is not None
        await peer.session.end("the connection was lost", lost=True)
        assert len(sessions._keeper) == 1
        await sessions.close(peer.session.id)
    await until(lambda: said(counting) == ["built", "closed"])
    with pytest.raises(Problem):
        await sessions.close(peer.session.id)
    async with testing.connect(sessions) as peer:
        assert peer.session is not None and await count(peer) == 1
        assert sessions.owner(peer.session.id) is None
        peer.session.peer = Known(None, {}, "ann")  # type: ignore[assignment]  # a Peer is not made so
        peer.session.end_soon("the connection was lost", lost=True)
        assert sessions.owner(peer.session.id) == "ann"
        await sessions.close(peer.session.id)
        assert len(sessions._keeper) == 0


async def test_a_session_that_seems_alive_is_taken_over(
    counting: type[Counts], sessions: Sessions
) -> None:
    """The visitor's address has changed and the server has not noticed: the old session ends at
    once, and the new one has its state."""
    async with testing.connect(sessions) as old:
        assert await count(old) == 1
        assert old.session is not None
        async with testing.connect(sessions, resume=old.session.id) as new:
            assert await count(new) == 2
            await asyncio.wait_for(old.session.closed.wait(), 5)
            assert len(sessions) == 1
        await until(lambda: said(counting) == ["built", "closed"])


async def test_a_call_that_runs_is_waited_for(sessions: Sessions) -> None:
    """An instance is not called by two sessions at a time: the new one waits for the last call."""
    going = threading.Event()
    calls: list[str] = []

    class Slow:
        def __call__(self, image: Image) -> Image:
            calls.append("begins")
            going.wait(10)
            calls.append("ends")
            return image

    slow = Stream(Slow).sessions()
    async with testing.connect(slow) as old:
        old.send(scene())
        await until(lambda: calls)
        assert old.session is not None
        async with testing.connect(slow, resume=old.session.id) as new:
            new.send(scene())
            await until(lambda: old.session.closed.is_set())  # type: ignore[union-attr]
            assert calls == ["begins"]
            assert new.session is not None
            complaints = [each.complaint(0.0) for each in new.session._wiring.workers]
            assert any(complaints), "and the page is told, in time"
            going.set()
            await new.apply(scene())
            assert calls[:3] == ["begins", "ends", "begins"]


async def test_a_generator_that_hangs_is_told_of_to_who_comes_back() -> None:
    """Where the last session's run does not end, the page that waits for it learns why."""
    going, calls = threading.Event(), []

    class Slow:
        def __call__(self) -> Iterator[int]:
            calls.append(1)
            going.wait(10)
            yield len(calls)

    slow = Stream(Slow).sessions()
    async with testing.connect(slow) as old:
        await until(lambda: calls)
        assert old.session is not None
        async with testing.connect(slow, resume=old.session.id) as new:
            assert new.session is not None
            [worker] = new.session._wiring.workers
            assert worker.complaint(0.0) and worker.hangs
            going.set()
            assert await new.result() == 2
            assert not worker.hangs


async def test_strangers_get_a_state_of_their_own(impatient: None, sessions: Sessions) -> None:
    """A wrong id is no error, and gets nothing of anybody."""
    async with testing.connect(sessions) as peer:
        assert await count(peer) == 1
        lost = await lose(peer)
    for wrong in ("", "x", lost[:-1], lost + "x"):
        async with testing.connect(sessions, resume=wrong) as peer:
            assert await count(peer) == 1
    async with testing.connect(sessions, resume=lost) as peer:
        assert await count(peer) == 2


class Known(NamedTuple):
    """A `Peer` that has signed in."""

    address: str | None
    headers: dict[str, str]
    identity: str


async def test_only_the_same_visitor_may_resume(
    counting: type[Counts], sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where visitors sign in, an id alone is not enough: neither of a lost nor of a live one."""

    def signed_in(name: str) -> None:
        monkeypatch.setattr(testing, "Peer", lambda *fields: Known(None, {}, name))

    signed_in("ann")
    async with testing.connect(sessions) as ann:
        assert await count(ann) == 1
        assert ann.session is not None
        signed_in("bob")
        async with testing.connect(sessions, resume=ann.session.id) as bob:
            assert await count(bob) == 1
            assert await count(ann) == 2
        ann.session.end_soon("the connection was lost", lost=True)
        await ann.session.closed.wait()
        async with testing.connect(sessions, resume=ann.session.id) as bob:
            assert await count(bob) == 1
        signed_in("ann")
        async with testing.connect(sessions, resume=ann.session.id) as again:
            assert await count(again) == 3


async def test_an_answer_that_got_lost(counting: type[Counts], sessions: Sessions) -> None:
    """An attempt that is refused, or never connected, loses nothing: the next may name either."""
    async with testing.connect(sessions) as peer:
        assert await count(peer) == 1
        assert peer.session is not None
        peer.session.end_soon("the connection was lost", lost=True)
        await peer.session.closed.wait()
        lost = peer.session.id
    with pytest.raises(Problem):
        await sessions.connect("v=0\r\n", {}, Peer(None, {}), ICE, resume=lost)
    async with offering() as (_, offer):
        second, _ = await sessions.connect(offer, {}, Peer(None, {}), ICE, resume=lost)
        assert second._deadline is not None
        second._deadline._run()  # as the loop does when it has passed
        await second.closed.wait()
        third, _ = await sessions.connect(offer, {}, Peer(None, {}), ICE, resume=lost)
        await sessions.abandon(third.id)
        fourth, _ = await sessions.connect(offer, {}, Peer(None, {}), ICE, resume=third.id)
        async with testing.connect(sessions, resume=second.id) as peer:
            assert await count(peer) == 2
            assert fourth._closing is not None
    await until(lambda: said(counting) == ["built", "closed"])
    assert len(sessions._keeper) == 0


async def test_a_resumed_session_that_is_refused_controls_loses_nothing(
    sessions: Sessions,
) -> None:
    """A wrong control is a 400, and the session that was named lives on."""
    async with testing.connect(sessions) as peer:
        assert await count(peer) == 1
        assert peer.session is not None
        with pytest.raises(Problem):
            async with testing.connect(sessions, resume=peer.session.id, controls={"no": 1}):
                pass
        assert await count(peer) == 2


async def test_the_end_of_the_server_frees_all(
    counting: type[Counts], sessions: Sessions, leaks: Leaks
) -> None:
    """What is kept, and what is lost while the server ends, is closed."""
    async with leaks():
        async with testing.connect(sessions) as kept, testing.connect(sessions) as late:
            assert await count(kept) == await count(late) == 1
            assert kept.session is not None and late.session is not None
            kept.session.end_soon("the connection was lost", lost=True)
            await kept.session.closed.wait()
            late.session.end_soon("the connection was lost", lost=True)
            await sessions.end_all("the server stopped")
        await until(lambda: sorted(said(counting)) == ["built", "built", "closed", "closed"])


async def test_nothing_is_kept_of_nothing(sessions: Sessions) -> None:
    """A function without a class that has left no state has nothing to wait for."""

    def same(image: Image) -> Image:
        return image

    plain = Stream(same).sessions()
    async with testing.connect(plain) as peer:
        await peer.apply(scene())
        assert peer.session is not None
        await peer.session.end("the connection was lost", lost=True)
        assert len(plain._keeper) == 0


async def test_a_class_that_cannot_be_built_is_built_again(sessions: Sessions) -> None:
    """Where there is no instance, who comes back gets a new one."""
    tries = []

    class Late:
        def __init__(self) -> None:
            tries.append(1)
            if len(tries) == 1:
                raise RuntimeError("not yet")

        def __call__(self, image: Image, session: Session) -> Image:
            return image

    late = Stream(Late).sessions()
    async with testing.connect(late) as peer:
        await peer.message("log", level="error")
        assert peer.session is not None
        await until(lambda: not peer.session._wiring.workers[0].running)  # type: ignore[union-attr]
        async with testing.connect(late, resume=peer.session.id) as again:
            await again.apply(scene())


async def test_a_shared_run_goes_on_with_its_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends to all and comes back, while the server thinks that it is there, is taken."""

    def same(image: Image) -> Image:
        return image

    shared = Stream(same, shared=True).sessions()
    async with testing.connect(shared) as old:
        await old.apply(scene())
        assert old.session is not None
        async with testing.connect(shared, resume=old.session.id) as new:
            await new.apply(scene())
