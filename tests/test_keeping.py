"""What is kept for who may come back, and the room that it takes: how much, and how long."""

import asyncio
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest

from rtcstream import Image, Stream, resuming, testing
from rtcstream.resuming import Keeper, Keepsake
from rtcstream.signaling import Problem
from rtcstream.transport.ice import LOOPBACK, IceOptions
from rtcstream.types import Peer
from tests.counting import Counts, count, said
from tests.pictures import scene
from tests.test_endings import offering
from tests.waiting import until

ICE = IceOptions(addresses=LOOPBACK)


async def test_the_room_of_one_that_is_negotiated(counting: type[Counts]) -> None:
    """Who tries again while the server still answers the last try has that one's room."""
    one = Stream(counting, concurrency_limit=1).sessions()
    async with testing.connect(one) as peer:
        assert await count(peer) == 1
        assert peer.session is not None
        name = peer.session.id
        async with offering() as (_, offer), offering() as (_, another):
            slow = asyncio.create_task(one.connect(offer, {}, Peer(None, {}), ICE, resume=name))
            while not one._negotiating:  # noqa: ASYNC110, until() looks too seldom
                await asyncio.sleep(0)
            newest, _ = await one.connect(another, {}, Peer(None, {}), ICE, resume=name)
            with pytest.raises(Problem):
                await slow
            assert one.door.admission.state.running == 1
            assert newest._closing is None
        async with testing.connect(one, resume=newest.id) as peer:
            assert await count(peer) == 2
    await until(lambda: one.door.admission.state.running == 0)


async def test_a_room_is_not_held_for_ever(counting: type[Counts]) -> None:
    """Sessions in a row that never connect, one whose time is over and one that was ended for good
    leave their room to who waits."""
    one = Stream(counting, concurrency_limit=1, time_limit=60).sessions()
    nobody = Peer(None, {})
    async with offering() as (_, offer):
        session, _ = await one.connect(offer, {}, nobody, ICE)
        for _ in range(2):
            session, _ = await one.connect(offer, {}, nobody, ICE, resume=session.id)
        with pytest.raises(Problem):
            await one.connect(offer, {}, nobody, ICE, resume=session.id)
        await until(lambda: one.door.admission.state.running == 0)
        session, _ = await one.connect(offer, {}, nobody, ICE)
        session.opened_at -= 60
        with pytest.raises(Problem):
            await one.connect(offer, {}, nobody, ICE, resume=session.id)
        await until(lambda: one.door.admission.state.running == 0)
        session, _ = await one.connect(offer, {}, nobody, ICE)
        session.end_soon("time_limit")
        with pytest.raises(Problem):
            await one.connect(offer, {}, nobody, ICE, resume=session.id)


async def test_an_answer_that_got_lost_of_a_plain_function() -> None:
    """Where nothing is kept, too, the next attempt has the room of the one before."""

    def same(image: Image) -> Image:
        return image

    one = Stream(same, concurrency_limit=1).sessions()
    async with testing.connect(one) as peer, offering() as (_, offer):
        await peer.apply(scene(160, 120))
        assert peer.session is not None
        await one.connect(offer, {}, Peer(None, {}), ICE, resume=peer.session.id)
        async with testing.connect(one, resume=peer.session.id) as again:
            await again.apply(scene(160, 120))


@pytest.mark.parametrize("concurrency_id", [None, "one of these two"])
async def test_instances_are_bounded_by_the_limit(
    counting: type[Counts], concurrency_id: str | None
) -> None:
    """With room for one, in a stream or in two of one `concurrency_id`, another visitor takes the
    memory of an instance that is kept; the state is kept all the same."""
    streams = [
        Stream(counting, concurrency_limit=1, concurrency_id=concurrency_id) for _ in range(2)
    ]
    one, another = (stream.sessions() for stream in streams)
    two = one if concurrency_id is None else another
    async with testing.connect(one) as peer:
        assert await count(peer) == 1
        assert peer.session is not None
        lost = peer.session.id
        await peer.session.end("the connection was lost", lost=True)
    async with testing.connect(two) as other:
        assert await count(other) == 1
        await until(lambda: said(counting) == ["built", "closed", "built"])
    async with testing.connect(one, resume=lost) as peer:
        assert peer.session is not None and peer.session.state == {"pictures": 1}


def keepsake(name: str, given_up: list[str]) -> Keepsake:
    """What is kept of a session of this name, whose worker says when it is given up."""
    worker: Any = SimpleNamespace(give_up=lambda: given_up.append(name))
    return Keepsake({}, [worker, None], Peer(None, {}), {name})


async def test_keepsakes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than are kept, the one that was lost first is given up."""
    monkeypatch.setattr(resuming, "MOST_KEPT", 3)
    keeper, nobody = Keeper(), Peer(None, {})
    given_up: list[str] = []
    for name in "abcde":
        keeper.keep(keepsake(name, given_up))
    assert given_up == ["a", "b"] and len(keeper) == 3
    assert keeper.take("a", nobody) is None
    assert keeper.take("d", nobody) is not None
    assert keeper.take("d", nobody) is None
    keeper.close()
    assert given_up == ["a", "b", "c", "e"]
    keeper.keep(keepsake("f", given_up))
    assert given_up[-1] == "f" and len(given_up) == 5


async def test_of_all_that_share_the_one_lost_first_gives_way() -> None:
    """Whichever stream's it is; and of streams with room of their own none."""
    room: WeakSet[Keeper] = WeakSet()
    keepers = [Keeper(room), Keeper(room), Keeper()]
    given_up: list[str] = []
    for index, name in [(1, "a"), (0, "b"), (2, "c"), (0, "d"), (1, "e")]:
        keepers[index].keep(keepsake(name, given_up))
    keepers[0].bound_instances(2)
    assert given_up == ["a", "b"]
    keepers[1].bound_instances(0)
    assert sorted(given_up) == ["a", "b", "d", "e"]
    assert [len(each) for each in keepers] == [2, 2, 1]
    for each in keepers:
        each.close()
    assert sorted(given_up) == ["a", "b", "c", "d", "e"]
