"""Measurements to figures: percentiles, their spread over the rounds, growth over time."""

import statistics
from collections.abc import Sequence
from typing import TypedDict

from .measure import BenchmarkError, Measurement


class Round(TypedDict):
    """One measurement; latencies in ms, ``server`` the p95 of a frame's way through it."""

    p50: float
    p95: float
    first: float
    last: float
    fps: float
    pictures: int
    unreadable: int
    server: float | None


class Spread(TypedDict):
    """A figure over the rounds."""

    median: float
    low: float
    high: float


class Row(TypedDict):
    """One route."""

    p50: Spread
    p95: Spread
    fps: Spread
    server: Spread | None
    codec: str | None
    size: tuple[int, int]
    rounds: list[Round]


class Growth(TypedDict):
    """A long measurement: p50 of its thirds in ms, resident memory in MB."""

    first_third: float
    last_third: float
    last: float
    memory_settled: float
    memory_end: float


def round_figures(seen: Measurement) -> Round:
    """Raises BenchmarkError when there is too little to speak of."""
    p50, p95 = percentiles(seen.latencies, seen.unreadable)
    return Round(
        p50=p50,
        p95=p95,
        first=seen.latencies[0],
        last=seen.latencies[-1],
        fps=(len(seen.times) - 1) / (seen.times[-1] - seen.times[0]),
        pictures=len(seen.latencies),
        unreadable=seen.unreadable,
        server=None if seen.server is None else seen.server[1],
    )


def percentiles(latencies: Sequence[float], unreadable: int = 0) -> tuple[float, float]:
    """p50 and p95. Raises BenchmarkError when there is too little to speak of."""
    if len(latencies) < 10:
        raise BenchmarkError(
            f"only {len(latencies)} pictures could be read, and {unreadable} could not: "
            "measure for longer, on a machine that is less busy"
        )
    return statistics.median(latencies), statistics.quantiles(latencies, n=20)[-1]


def row(measurements: Sequence[Measurement]) -> Row:
    rounds = [round_figures(seen) for seen in measurements]
    servers = [each["server"] for each in rounds if each["server"] is not None]
    return Row(
        p50=spread([each["p50"] for each in rounds]),
        p95=spread([each["p95"] for each in rounds]),
        fps=spread([each["fps"] for each in rounds]),
        server=spread(servers) if servers else None,
        codec=measurements[-1].codec,
        size=measurements[-1].size,
        rounds=rounds,
    )


def spread(values: Sequence[float]) -> Spread:
    """Raises BenchmarkError when there are none."""
    if not values:
        raise BenchmarkError("nothing was measured")
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def growth(seen: Measurement, settle: float) -> Growth:
    """``settle``: seconds that the server's memory gets to find its size."""
    third = (seen.times[-1] - seen.times[0]) / 3
    samples = list(zip(seen.times, seen.latencies, strict=True))
    settled = [memory for at, memory in seen.memory if at >= settle]
    return Growth(
        first_third=statistics.median(ms for at, ms in samples if at <= seen.times[0] + third),
        last_third=statistics.median(ms for at, ms in samples if at >= seen.times[-1] - third),
        last=seen.latencies[-1],
        # A few samples each: pictures that come and go move it by a megabyte.
        memory_settled=statistics.median(settled[:5]),
        memory_end=statistics.median(settled[-5:]),
    )
