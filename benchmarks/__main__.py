"""Every benchmark, one after another: ``python -m benchmarks [--quick] [NAME...]``.

Each writes its figures to results/NAME.json, and the chart is drawn from them.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from benchmarks import chart
from benchmarks.measure import ROOT

QUICK = {
    "latency": ["--quick"],
    "mouth_to_ear": ["--rounds=1"],
    "turn_taking": ["--rounds=1", "--seconds=30"],
    "cost": ["--rounds=2", "--seconds=4"],
    "loss": ["--rounds=1", "--seconds=10"],
    "narrow": ["--rounds=1", "--seconds=8"],
    "control": ["--rounds=1", "--seconds=8"],
    "first_frame": ["--rounds=5"],
    "quality": ["--seconds=2"],
    "viewers": ["--rounds=1", "--seconds=5"],
}
"""The benchmarks, and the options with which each gives an impression rather than a result."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The worst of the benchmarks' exit statuses."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(QUICK)} (all)")
    parser.add_argument("--quick", action="store_true", help="an impression rather than a result")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(QUICK):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(QUICK)}")
    statuses = []
    for name in options.names or QUICK:
        extra = QUICK[name] if options.quick else []
        output = chart.RESULTS / f"{name}.json"
        command = (sys.executable, "-m", f"benchmarks.{name}", *extra, f"--json={output}")
        statuses.append(subprocess.run(command, cwd=ROOT, check=False).returncode)
        print(flush=True)
    chart.main()
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
