"""Everything that visitors do, for as long as wanted, and whether the server accounts for it."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from benchmarks.checks import Check, check
from benchmarks.common import progress
from benchmarks.soak.server import Held, Soaked, soaked
from benchmarks.soak.visitor import FORGET, PATIENCE, SILENCE
from benchmarks.soak.visitors import visitors

DOOMED = ("filtered", "watched", "both", "shared", "isolated")
"""Streams whose visitors are killed."""
GRACE = 400.0
"""Seconds that visitors get to come to the end of what they do."""
INTERVAL = 10.0
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Plan:
    seconds: float = 3600.0
    at_once: int = 12
    seed: int = 1
    kill_every: float = 10.0
    """Seconds from one process of visitors that is killed to the next, on average."""
    memory: float = 1.1
    """How much of it there may be in the last third, as a factor of the second."""


SHORT = Plan(45.0, at_once=6, kill_every=5.0, memory=2.0)
"""Malloc has not found its size by then."""


async def run(plan: Plan) -> dict[str, Any]:
    """The report; raises BenchmarkError."""
    endings: Counter[str] = Counter()
    failed: list[str] = []
    memory: list[float] = []
    # The server's UDP ports are of a range, as behind a firewall: all of them must come back.
    async with soaked("51000", "51999") as server, visitors(server.url) as group:
        toured = await group.do("tour", GRACE)  # what is made once, and kept, is made before
        before = await server.empty()
        watching = asyncio.create_task(_watch(server, memory))
        killing = asyncio.create_task(_kill(server, plan, endings, failed))
        seconds = plan.seconds
        mixed = await group.do(
            "mix", seconds + GRACE, seconds=seconds, at_once=plan.at_once, seed=plan.seed
        )
        await killing
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        for done in (toured, mixed):
            endings.update(done["endings"])
            failed += done["failed"]
        after = await server.empty(before, SILENCE + FORGET + PATIENCE)
    return {
        "plan": asdict(plan),
        "played": mixed["played"],
        "expected": dict(sorted(endings.items())),
        "counted": dict(sorted(_counted(after).items())),
        "memory": memory,
        "function errors": sum(each["errors"] for each in after.sessions.values()),
        "log": after.log,
        "failed": failed[:20],
        "errors": server.errors_at_end,
        "checks": verdicts(plan, endings, before, after, memory, failed, server.errors_at_end),
    }


async def _kill(server: Soaked, plan: Plan, endings: Counter[str], failed: list[str]) -> None:
    """Processes of visitors killed as they stand, now and then, until shortly before the end."""
    random = Random(f"{plan.seed} kills")
    loop = asyncio.get_running_loop()
    end = loop.time() + plan.seconds - SILENCE
    while loop.time() < end:
        streams = random.choices(DOOMED, k=random.randint(1, 4))
        async with visitors(server.url) as doomed:
            failed += (await doomed.do("stay", GRACE, streams=streams))["failed"]
            await asyncio.sleep(random.uniform(0, 1))
            doomed.process.kill()
            await doomed.process.wait()
        endings.update(f"{stream}/lost" for stream in streams)
        await asyncio.sleep(random.uniform(0, 2 * plan.kill_every))


async def _watch(server: Soaked, memory: list[float]) -> None:
    while True:
        held = await server.held()
        memory.append(round(held.resident, 1))
        progress(f"{held.resident:.0f} MB, {held.live} sessions, {held.running} slots")
        await asyncio.sleep(INTERVAL)


def _counted(held: Held) -> Counter[str]:
    return Counter(
        {
            f"{stream}/{reason}": count
            for stream, each in held.sessions.items()
            for reason, count in each["closed"].items()
        }
    )


def verdicts(
    plan: Plan,
    endings: Counter[str],
    before: Held,
    after: Held,
    memory: Sequence[float],
    failed: Sequence[str],
    errors: Sequence[str],
) -> list[Check]:
    counted = _counted(after)
    opened = sum(each["opened"] for each in after.sessions.values())
    wrong = sum(abs(endings[key] - counted[key]) for key in endings | counted)
    third = max(1, len(memory) // 3)
    second, last = (statistics.mean(each) for each in (memory[third : 2 * third], memory[-third:]))
    return [
        check("visits that did not go as they should", len(failed), 0, ""),
        check("sessions opened, but not ended", opened - counted.total(), 0, ""),
        check("sessions ended for another reason than what was done", wrong, 0, ""),
        *(check(f"left behind: {name}", count, 0, "") for name, count in after.left().items()),
        *(
            check(f"{figure} of the empty server", now, then, "")
            for figure, (now, then) in after.against(before).items()
        ),
        check("unexpected errors in the log", len(errors), 0, ""),
        check("memory under load, last third to second", last / second, plan.memory, "x"),
    ]
