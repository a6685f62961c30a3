"""Compares the ratios of a run with the recorded ones: which moved by more than their noise.

The exit code is 1 if one got worse. A ratio has moved when it differs by more than a tenth and by
more than the runs of both recordings differ among themselves.
"""

import argparse
import json
import sys
from pathlib import Path

from summary import Table, drivers_of, noise, ratio, table_of

RESULTS = Path(__file__).parents[1] / "results"
LEAST = 0.10
WATCHED = {"cpu": "CPU, busy", "cpu_at_rate": "CPU at the rate", "p50": "median"}


def compare(old: Table, new: Table) -> tuple[list[str], bool]:
    """A line for each ratio, and whether one got worse."""
    lines, worse = [], False
    for system in new:
        if system == "grpc" or system not in old:
            continue
        for column, title in WATCHED.items():
            before, now = ratio(old, column, system), ratio(new, column, system)
            allowed = max(LEAST, noise(old, column, system) + noise(new, column, system))
            change = now / before - 1
            verdict = "as before"
            if abs(change) > allowed:
                verdict = "BETTER" if change > 0 else "WORSE"
            worse |= verdict == "WORSE"
            lines.append(
                f"{system:9} {title:16} {before:7.2f} -> {now:7.2f} times less than gRPC"
                f"  {change:+7.1%} (noise {allowed:.0%})  {verdict}"
            )
    return lines, worse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", type=Path, default=RESULTS / "recorded.json")
    parser.add_argument("--latest", type=Path, default=RESULTS / "latest.json")
    options = parser.parse_args()
    before, now = (json.loads(path.read_text()) for path in (options.recorded, options.latest))
    if drivers_of(before)[0] != drivers_of(now)[0]:
        sys.exit(
            f"not comparable: the rate was kept by the driver {drivers_of(before)[0]} then, and by"
            f" {drivers_of(now)[0]} now"
        )
    lines, worse = compare(table_of(before), table_of(now))
    print("\n".join(lines))
    sys.exit(worse)


if __name__ == "__main__":
    main()
