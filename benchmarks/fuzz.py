"""Mutated offers, candidates, queries, messages and requests, from a seeded corpus.

``python -m benchmarks.fuzz [--seed N] [--count N]``: so many texts through the parsers, a tenth
of that through whole negotiations in process, a fiftieth over HTTP to a served application; half as
many packets to sessions that are connected, and a few peers that connect with mutated offers.
``--case KIND:NUMBER`` has one again, of the same seed. The exit status is 1 if anything failed.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from rtcstream import testing
from tests.fuzzing import KINDS, Case, Complaints, Failed, cases, complaints
from tests.fuzzing_http import Server, fuzz, served
from tests.fuzzing_packets import pelt
from tests.fuzzing_sessions import all_sessions, meet, negotiate, streams
from tests.leaks import Holdings

WARM_UP = 20
"""Cases after which all that is made once has been made."""
ENDING = 20.0
"""Seconds for sessions that nobody ended to be given up in: they have 12 to connect."""
PACKETS = 1500
"""Packets to one session."""
SHOWN = 5
"""Failures that are shown in full."""


class Fuzzing:
    """One run: what failed so far."""

    def __init__(self, log: Complaints) -> None:
        self.failures: list[str] = []
        self._log = log

    def note(self, case: Case, failure: Failed | None = None) -> None:
        """What came of a case, and what was logged as an error meanwhile."""
        if failure is not None:
            self.failures.append(str(failure))
        self.failures += [case.told(case.text(), line) for line in self._log.take()]

    def parse(self, seed: int, count: int) -> str:
        """Texts through the parsers."""
        accepted: Counter[str] = Counter()
        for case in cases(seed, count):
            failure = None
            try:
                accepted[case.kind] += case.check()
            except Failed as error:
                failure = error
            self.note(case, failure)
        told = ", ".join(f"{kind} {number}" for kind, number in sorted(accepted.items()))
        return f"{count} texts parsed; accepted: {told}"

    async def negotiate(self, seed: int, count: int) -> str:
        """Offers answered in process."""
        accepted, before = 0, None
        async with all_sessions() as sessions:
            for case in of_kind("offer", seed, count):
                failure = None
                try:
                    accepted += await negotiate(case, sessions)
                except Failed as error:
                    failure = error
                self.note(case, failure)
                if case.number == WARM_UP:
                    before = Holdings.count()
            await self._check_left(before)
        return f"{count} offers negotiated; {accepted} accepted, and ended"

    async def meet(self, seed: int, count: int) -> str:
        """Peers that connect with offers of theirs, mutated."""
        connected = 0
        async with all_sessions() as sessions:
            for case in of_kind("live", seed, count):
                failure = None
                try:
                    connected += await meet(case, sessions)
                except Failed as error:
                    failure = error
                self.note(case, failure)
        return f"{count} peers with mutated offers; {connected} connected, all ended"

    async def pelt(self, seed: int, count: int) -> str:
        """Packets to sessions, which still answer then."""
        for number in range(0, count, PACKETS):
            case = Case("packets", seed, number)
            failure = None
            async with testing.connect(streams()["filter"]) as peer:
                try:
                    await pelt(peer, case.random, min(PACKETS, count - number))
                    await peer.set()
                except Exception as error:
                    failure = Failed(case.told("", error))
            self.note(case, failure)
        return f"{count} packets sent to sessions, encrypted and not"

    async def ask(self, seed: int, count: int) -> str:
        """Requests over HTTP."""
        async with served() as server:
            await self._ask(server, of_kind("http", seed - 1, WARM_UP))
        before = Holdings.count()
        async with served() as server:
            slowest = await self._ask(server, of_kind("http", seed, count))
            left = len(list(server.operations.sessions()))
            if not await within(ENDING, lambda: not list(server.operations.sessions())):
                self.failures.append(f"sessions that nobody ended are there after {ENDING:g} s")
        await self._check_left(before)
        statuses = ", ".join(f"{n} x {each}" for each, n in server.statuses.items())
        return (
            f"{count} cases over HTTP, {statuses}; the slowest took {slowest:.2f} s; "
            f"{left} sessions that nobody ended were given up"
        )

    async def _ask(self, server: Server, cases: Iterator[Case]) -> float:
        """How long the slowest took, in seconds."""
        slowest = 0.0
        for case in cases:
            failure, start = None, time.perf_counter()
            try:
                await fuzz(case, server)
            except Failed as error:
                failure = error
            slowest = max(slowest, time.perf_counter() - start)
            self.note(case, failure)
        return slowest

    async def _check_left(self, before: Holdings | None) -> None:
        """Note the tasks, threads and descriptors that are there since."""
        if before is not None and not await within(5, lambda: not Holdings.count().beyond(before)):
            self.failures.append("left behind: " + "\n  ".join(Holdings.count().beyond(before)))


def of_kind(kind: str, seed: int, count: int) -> Iterator[Case]:
    return (Case(kind, seed, number) for number in range(count))


async def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether it holds before so many seconds have passed."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def run(seed: int, count: int) -> list[str]:
    """All of it, told on the way; what failed."""
    with complaints() as log:
        fuzzing = Fuzzing(log)
        for told in (
            fuzzing.parse(seed, count),
            await fuzzing.negotiate(seed, count // 10),
            await fuzzing.meet(seed, count // 400),
            await fuzzing.pelt(seed, count // 2),
            await fuzzing.ask(seed, count // 50),
        ):
            print(f"seed {seed}: {told}", flush=True)
    return fuzzing.failures


async def again(case: Case) -> list[str]:
    """One case; how it fails."""
    with complaints() as log:
        fuzzing = Fuzzing(log)
        try:
            if case.kind == "http":
                async with served() as server:
                    await fuzz(case, server)
            elif case.kind == "live":
                async with all_sessions() as sessions:
                    await meet(case, sessions)
            else:
                case.check()
                if case.kind == "offer":
                    async with all_sessions() as sessions:
                        await negotiate(case, sessions)
        except Failed as error:
            fuzzing.note(case, error)
        else:
            fuzzing.note(case)
    return fuzzing.failures


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100_000, help="texts for the parsers")
    parser.add_argument("--case", metavar="KIND:NUMBER", help="one of a seed, again")
    options = parser.parse_args(arguments)
    if options.case is None:
        failures = asyncio.run(run(options.seed, options.count))
    else:
        kind, _, number = options.case.partition(":")
        if kind not in (*KINDS, "live", "http") or not number.isdigit():
            parser.error(f"--case is KIND:NUMBER, with one of {', '.join(KINDS)}, live, http")
        failures = asyncio.run(again(Case(kind, options.seed, int(number))))
    for failure in failures[:SHOWN]:
        print(failure, end="\n\n", file=sys.stderr)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
