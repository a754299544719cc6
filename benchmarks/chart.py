"""The figures of results/*.json as results/chart.svg, which is legible on light and dark pages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

RESULTS = Path(__file__).parent / "results"
CHART = RESULTS / "chart.svg"

WIDTH, LABEL, BAR, STEP, GAP = 720, 190, 16, 24, 26
"""Pixels: all, the labels' column, a bar, from one bar to the next, between panels."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.bar { fill: #8c959f } .ours { fill: #0969da } .spread { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #6e7681 } .ours { fill: #4493f8 } .spread { stroke: #e6edf3 }
}"""


@dataclass(frozen=True)
class Panel:
    """Bars under a title: of each row the figure of that name."""

    title: str
    file: str
    figure: str
    rows: Mapping[str, str]  # label: row


SAME = {name: name for name in ("browser's own echo", "plain aiortc", "FastRTC", "rtcstream")}
HD = {label: f"{name}, 720p" for label, name in SAME.items()}
SERVERS = {name: name for name in ("plain aiortc", "FastRTC", "rtcstream", "bare work")}
PANELS = (
    Panel("Canvas to screen, 640x480, ms (median)", "latency", "p50", SAME),
    Panel("Canvas to screen, 1280x720, ms (median)", "latency", "p50", HD),
    Panel("With 5% of packets lost, ms (95th percentile)", "loss", "p95, ms", SAME),
    Panel("Server's processor time for a frame, ms", "cost", "CPU of a frame, ms", SERVERS),
)


def main() -> None:
    drawn = [(panel, bars) for panel in PANELS if (bars := read(panel))]
    if drawn:
        CHART.write_text(svg(drawn))


def read(panel: Panel) -> list[tuple[str, dict[str, float]]]:
    """The labels and spreads of a panel, as far as they have been measured."""
    path = RESULTS / f"{panel.file}.json"
    if not path.exists():
        return []
    rows: dict[str, dict[str, Any]] = json.loads(path.read_text())["rows"]
    return [
        (label, rows[row][panel.figure])
        for label, row in panel.rows.items()
        if panel.figure in rows.get(row, {})
    ]


def svg(drawn: Sequence[tuple[Panel, list[tuple[str, dict[str, float]]]]]) -> str:
    lines: list[str] = []
    y = 20
    for panel, bars in drawn:
        lines += panel_lines(panel.title, bars, y)
        y += STEP * (len(bars) + 1) + GAP
    size = f'width="{WIDTH}" height="{y - GAP}" viewBox="0 0 {WIDTH} {y - GAP}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    title = "<title>rtcstream beside the browser's own echo, plain aiortc and FastRTC</title>"
    return "\n".join([opening, title, f"<style>{STYLE}\n</style>", *lines, "</svg>\n"])


def panel_lines(title: str, bars: list[tuple[str, dict[str, float]]], y: int) -> Iterator[str]:
    scale = (WIDTH - LABEL - 60) / max(spread["high"] for _, spread in bars)
    yield f'<text class="title" x="0" y="{y}">{escape(title)}</text>'
    for number, (label, spread) in enumerate(bars, 1):
        top = y + number * STEP - BAR
        middle = top + BAR / 2
        low, median, high = (LABEL + spread[name] * scale for name in ("low", "median", "high"))
        css = "ours" if label == "rtcstream" else "bar"
        yield f'<text x="{LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(label)}</text>'
        yield (
            f'<rect class="{css}" x="{LABEL}" y="{top}" width="{median - LABEL:.1f}" '
            f'height="{BAR}" rx="2"/>'
        )
        yield f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>'
        yield f'<text x="{high + 8:.1f}" y="{top + 13}">{spread["median"]:.3g}</text>'


if __name__ == "__main__":
    main()
