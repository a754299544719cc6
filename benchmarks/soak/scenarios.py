"""What visitors of a mixed load do, each once; what of it the server's books must say."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp

from benchmarks.soak.streams import ON_PURPOSE
from benchmarks.soak.visitor import FORGET, PATIENCE, SILENCE, Refused, Visitor

LINE_PATIENCE = 120.0
"""Seconds in line: others before have theirs to finish."""

Endings = list[str]
"""``STREAM/REASON`` of each session that was opened, by the reasons of the metrics."""


@dataclass(frozen=True)
class Place:
    """Where a scenario plays."""

    url: str
    http: aiohttp.ClientSession
    random: Random

    def visitor(self, stream: str) -> Visitor:
        return Visitor(self.url, stream, self.http)


async def ordinary(place: Place) -> Endings:
    """Comes, turns knobs, leaves: by DELETE, or by closing the connection."""
    stream = place.random.choice(["filtered", "watched", "both", "shared", "Counter"])
    visitor = place.visitor(stream)
    knobs = stream in ("filtered", "watched", "shared")
    try:
        await visitor.join(f"?level={place.random.randrange(256)}" if knobs else "")
        await visitor.watch(2)
        for _ in range(place.random.randrange(10)):
            if knobs:
                await visitor.set(level=place.random.randrange(256))
            await asyncio.sleep(place.random.uniform(0, 0.4))
        await visitor.watch(2)
        if place.random.random() < 0.6:
            await visitor.delete()
            return [f"{stream}/page"]
        await visitor.close()
        await visitor.until(lambda: visitor.state == "closed", "the end")
        return [f"{stream}/peer"]
    finally:
        await visitor.close()


async def raising(place: Place) -> Endings:
    """Has the function raise for a while: the session goes on."""
    visitor = place.visitor("filtered")
    try:
        await visitor.join()
        await visitor.watch(1)
        await visitor.set(fail=True)
        await visitor.until(lambda: any(ON_PURPOSE in text for text in visitor.said), "the error")
        await asyncio.sleep(place.random.uniform(0, 1))
        await visitor.set(fail=False)
        await visitor.watch(3)
        await visitor.delete()
        return ["filtered/page"]
    finally:
        await visitor.close()


async def refused_values(place: Place) -> Endings:
    """Sets what cannot be set; opens with what cannot be: nothing changes."""
    visitor = place.visitor("filtered")
    try:
        await _refused(visitor.join("?level=1000"), 400)
        await visitor.join("?level=7")
        await visitor.watch(1)
        try:
            await visitor.set(level=1000)
        except ValueError:
            pass
        else:
            raise AssertionError("level=1000 was taken")
        await visitor.set(fail=False)
        if visitor.values["level"] != 7:
            raise AssertionError(f"level is {visitor.values['level']} instead of 7")
        await visitor.delete()
        return ["filtered/page"]
    finally:
        await visitor.close()


async def worker_killed(place: Place) -> Endings:
    """Kills the worker process of its own session: it gets another."""
    visitor = place.visitor("isolated")
    try:
        await visitor.join()
        await visitor.until(lambda: visitor.results, "a result")
        for _ in range(place.random.randint(1, 2)):
            killed = visitor.results[-1]
            _kill_worker(killed)
            await visitor.until(lambda: visitor.results[-1] != killed, "another process")  # noqa: B023
        await visitor.watch(2)
        if not any("worker process died" in text for text in visitor.said):
            raise AssertionError("the page was not told of the process's end")
        await visitor.delete()
        return ["isolated/page"]
    finally:
        await visitor.close()


def _kill_worker(pid: int) -> None:
    if b"rtcstream.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
        os.kill(pid, signal.SIGKILL)


async def in_line(place: Place) -> Endings:
    """Waits in line; some leave it, some do not use their ticket."""
    gives_up, wastes = place.random.random() < 0.2, place.random.random() < 0.2
    stays = place.random.uniform(0.2, 3)
    visitor = place.visitor("line")
    try:
        async with (
            asyncio.timeout(LINE_PATIENCE),
            place.http.get(f"{place.url}line/queue") as response,
        ):
            if response.status != 200:
                raise Refused("GET line/queue", response.status, await response.text())
            async for raw in response.content:
                event = json.loads(raw[5:]) if raw.startswith(b"data:") else {}
                if (gives_up and "position" in event) or (wastes and "ticket" in event):
                    return []
                if "ticket" in event:
                    await visitor.join(ticket=event["ticket"])
                    break
        await visitor.watch(2)
        await asyncio.sleep(stays)
        await visitor.delete()
        return ["line/page"]
    finally:
        await visitor.close()


async def past_the_line(place: Place) -> Endings:
    """Comes without a ticket: is let in if there is room and nobody waits."""
    visitor = place.visitor("line")
    try:
        try:
            await visitor.join()
        except Refused as refusal:
            if refusal.status != 503:
                raise
            return []
        await visitor.watch(2)
        await visitor.delete()
        return ["line/page"]
    finally:
        await visitor.close()


async def time_is_up(place: Place) -> Endings:
    """Stays until its time is over."""
    visitor = place.visitor("limited")
    try:
        await visitor.join()
        await visitor.watch(2)
        await visitor.until(lambda: visitor.ended, "the end")
        if visitor.ended != "time_limit":
            raise AssertionError(f"it ended for {visitor.ended}")
        return ["limited/time_limit"]
    finally:
        await visitor.close()


async def sent_away(place: Place) -> Endings:
    """The function closes the session."""
    visitor = place.visitor("closing")
    try:
        await visitor.join()
        await visitor.watch(1)
        await visitor.set(leave=True)
        await visitor.until(lambda: visitor.ended, "the end")
        return ["closing/function"]
    finally:
        await visitor.close()


async def vanished(place: Place) -> Endings:
    """Is gone without a word."""
    stream = place.random.choice(["filtered", "watched", "both", "shared"])
    visitor = place.visitor(stream)
    try:
        await visitor.join()
        await visitor.watch(2)
        return [f"{stream}/lost"]
    finally:
        await visitor.vanish()


async def vanished_with_state(place: Place) -> Endings:
    """Likewise, of a stream that keeps something for it."""
    return [f"{(await _vanish_with_state(place)).stream}/lost"]


async def came_back(place: Place) -> Endings:
    """Likewise, and comes back to it."""
    gone = await _vanish_with_state(place)
    again = place.visitor(gone.stream)
    try:
        await asyncio.sleep(place.random.uniform(0, 2))
        await again.join(resume=gone.session)
        await again.watch(2)
        await again.delete()
        return [f"{gone.stream}/resumed", f"{gone.stream}/page"]
    finally:
        await again.close()


async def _vanish_with_state(place: Place) -> Visitor:
    visitor = place.visitor(place.random.choice(["closing", "Counter"]))
    try:
        await visitor.join()
        await visitor.watch(2)
    finally:
        await visitor.vanish()
    return visitor


async def half_open(place: Place) -> Endings:
    """Makes an offer, and never connects; some say goodbye."""
    visitor = place.visitor("filtered")
    try:
        await visitor.only_offer()
        if place.random.random() < 0.5:
            await asyncio.sleep(place.random.uniform(0, 1))
            await visitor.delete()
            return ["filtered/page"]
        return ["filtered/no_path"]
    finally:
        await visitor.close()


async def nonsense(place: Place) -> Endings:
    """Makes offers that are none."""
    stream = place.random.choice(["filtered", "both", "isolated", "line"])
    headers = {"Content-Type": "application/sdp"}
    text = place.random.choice(["v=0\r\n", "nonsense", "v=0\r\nm=video 9 X 0\r\n"])
    async with place.http.post(
        f"{place.url}{stream}/session", data=text, headers=headers
    ) as response:
        if response.status == 503 and stream == "line":
            return []
        if response.status != 400:
            raise Refused(f"POST {stream}", response.status, await response.text())
    return [f"{stream}/refused"]


async def _refused(coming: Awaitable[None], status: int) -> None:
    try:
        await coming
    except Refused as refusal:
        if refusal.status != status:
            raise
    else:
        raise AssertionError("it was not refused")


Scenario = Callable[[Place], Awaitable[Endings]]

SCENARIOS: dict[Scenario, tuple[int, float]] = {
    ordinary: (30, 0.0),
    raising: (8, 0.0),
    refused_values: (4, 0.0),
    worker_killed: (3, 0.0),
    in_line: (12, 3.0),
    past_the_line: (4, 0.0),
    time_is_up: (5, 0.0),
    sent_away: (5, 0.0),
    vanished: (8, SILENCE),
    vanished_with_state: (4, SILENCE + FORGET),
    came_back: (4, 0.0),
    half_open: (8, SILENCE),
    nonsense: (6, 0.0),
}
"""How often each is played, of all; and seconds that the server has something of it afterwards."""


@dataclass
class Course:
    """What has been done, and what came of it."""

    endings: Counter[str] = field(default_factory=Counter)
    played: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    async def play(self, scenario: Scenario, place: Place) -> None:
        name = scenario.__name__
        try:
            async with asyncio.timeout(LINE_PATIENCE + 4 * PATIENCE):
                self.endings.update(await scenario(place))
            self.played[name] += 1
        except Exception as error:
            self.failed.append(f"{name}: {type(error).__name__}: {error}")

    async def mix(self, place: Place, seconds: float) -> None:
        """Scenarios one after another for so long; those that linger not so near to the end."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            weights = [weight if lingers < left else 0 for weight, lingers in SCENARIOS.values()]
            [scenario] = place.random.choices([*SCENARIOS], weights)
            await self.play(scenario, place)

    async def tour(self, place: Place) -> None:
        """Each scenario once, but for those that linger."""
        quick = [scenario for scenario, (_, lingers) in SCENARIOS.items() if lingers < SILENCE]
        await asyncio.gather(*(self.play(scenario, place) for scenario in quick))
