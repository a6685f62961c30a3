"""The boutique as services over gRPC, over REST, and as components in three placements.

All systems take turns, in rounds; the raw figures of every run are kept as JSON. A run is noisy
when other processes used more than a twentieth of the machine; it counts only where none was quiet.
"""

import argparse
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chart import draw
from machine import describe
from measure import DRIVERS, LEAN, NOISE, Plan, measure
from systems import SYSTEMS
from tables import about, markdown

RESULTS = Path(__file__).parents[1] / "results"


def rounds_of(systems: list[str], rounds: int, plan: Plan) -> list[dict[str, Any]]:
    """Measure all systems so many times, each round from another one on."""
    cores, runs = len(os.sched_getaffinity(0)), []
    for number in range(rounds):
        begin = number % len(systems)
        for name in systems[begin:] + systems[:begin]:
            figures = measure(name, plan, cores, number)
            runs.append({"system": name, "round": number, **figures})
            rate, full = figures["rate"], figures["full"]
            noisy = "  noisy" if any(phase.get("noisy") for phase in figures.values()) else ""
            print(
                f"round {number + 1} {name:9} {full['cpu_ms']:8.3f} ms CPU"
                f" {full['per_second']:8.0f} requests/s, at {plan.rate:g}/s"
                f" {rate['cpu_ms']:8.3f} ms CPU, p50 {rate['p50_ms']:7.2f} ms,"
                f" foreign {rate['foreign_cores']:.2f} and {full['foreign_cores']:.2f}{noisy}",
                file=sys.stderr,
                flush=True,
            )
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more and longer rounds")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each phase")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second")
    parser.add_argument("--shoppers", type=int, default=16)
    parser.add_argument(
        "--driver",
        choices=DRIVERS,
        help="who keeps the constant rate: lean, and with --full both, is the default",
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "latest.json")
    options = parser.parse_args()
    drivers = (options.driver,) if options.driver else tuple(DRIVERS) if options.full else (LEAN,)
    if "locust" in drivers and find_spec("locust") is None:
        parser.error("locust is not installed: pip install --group bench, or --driver lean")
    rounds = options.rounds or (7 if options.full else 3)
    seconds = options.seconds or (20.0 if options.full else 4.0)
    plan = Plan(options.rate, options.shoppers, min(3.0, seconds / 2), seconds, drivers)
    recorded: dict[str, Any] = {
        "machine": describe(),
        "settings": {
            "rounds": rounds, "seconds": seconds, "rate": options.rate,
            "shoppers": options.shoppers, "noise": NOISE, "drivers": drivers,
        },
    }  # fmt: skip
    recorded["runs"] = rounds_of(options.systems.split(","), rounds, plan)
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps(recorded, indent=1) + "\n")
    for theme in ("light", "dark"):
        drawing = options.output.with_name(f"{options.output.stem}-{theme}.svg")
        drawing.write_text(draw(recorded, theme))
    print(about(recorded))
    print()
    print(markdown(recorded))


if __name__ == "__main__":
    main()
