"""The report as text."""

from collections.abc import Iterator, Mapping, Sequence

from .checks import Check
from .figures import Growth, Row, Spread


def latencies(rows: Mapping[str, Row]) -> Iterator[str]:
    yield f"{'canvas to screen, ms':34}{'p50':>22}{'p95':>24}{'pictures/s':>12}{'server, p95':>13}"
    for name, row in rows.items():
        yield f"{name:34}{_spread(row['p50']):>22}{_spread(row['p95']):>24}" + (
            f"{row['fps']['median']:12.1f}"
            + (f"{row['server']['median']:13.1f}" if row["server"] is not None else "")
        )
    yield "The median of the rounds, and their least and most."


def figures(title: str, rows: Mapping[str, Mapping[str, Spread]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    widths = [max(len(name), 22) + 2 for name in names]
    columns = list(zip(names, widths, strict=True))
    yield f"{title:34}" + "".join(f"{name:>{width}}" for name, width in columns)
    for label, row in rows.items():
        cells = (_spread(row[name]) if name in row else "" for name in names)
        yield f"{label:34}" + "".join(
            f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)
        )


def growth(long: Mapping[str, Growth]) -> Iterator[str]:
    yield f"{'over time':34}{'p50, first third':>18}{'last third':>12}{'last':>9}{'memory':>18}"
    for name, each in long.items():
        memory = f"{each['memory_settled']:.0f} to {each['memory_end']:.0f} MB"
        yield f"{name:34}{each['first_third']:15.0f} ms{each['last_third']:9.0f} ms" + (
            f"{each['last']:6.0f} ms{memory:>18}"
        )


def verdicts(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        unit = check["unit"]
        digits = 2 if unit == "x" else 1
        yield f"{'ok' if check['ok'] else 'FAILED':8}{check['claim']}: " + (
            f"{check['measured']:.{digits}f} {unit}, limit {check['limit']:.{digits}f} {unit}"
        )


def _spread(spread: Spread) -> str:
    return f"{spread['median']:.1f} ({spread['low']:.1f}..{spread['high']:.1f})"
