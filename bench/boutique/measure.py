"""One run of one system: first at a constant rate, then as fast as it answers.

The rate is kept by one driver or by several, one after the other; how fast the system can answer is
found by the lean one, for another would be the slower part.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from processes import Usage, cpu_of, pss_of, spent, tree
from summary import phase_of
from systems import System, running

LEAN = "lean"
DRIVERS = {
    name: Path(__file__).with_name(file)
    for name, file in {LEAN: "load.py", "locust": "locust_load.py"}.items()
}
NOISE = 0.05
"""Share of the machine that others may use in a run; more, and the run is noisy.

So it is where what was used belongs to another span than the requests, by this share: others have
kept us from looking in time.
"""


@dataclass(frozen=True)
class Plan:
    """Seconds of each phase, requests per second of the first, shoppers of the second.

    The first of the `drivers` makes the phase "rate", another one "rate by NAME".
    """

    rate: float
    shoppers: int
    warm: float
    seconds: float
    drivers: tuple[str, ...] = (LEAN,)


Figures = dict[str, float | int | str | bool]


def measure(name: str, plan: Plan, cores: int, number: int = 0) -> dict[str, Figures]:
    """Start the system, load it in two ways, end it: "rate" and "full", and what it is.

    Drivers take turns in being the first, by the round's number.
    """
    first = number % len(plan.drivers)
    found: dict[str, Figures] = {}
    with running(name) as system:
        pids = tree(system.roots)
        for driver in plan.drivers[first:] + plan.drivers[:first]:
            # More shoppers than can be in flight: a slow answer must not hold back those due.
            options = (f"--rate={plan.rate}", "--shoppers=32")
            phase = phase_of(driver, plan.drivers)
            found[phase] = _phase(system, plan, cores, driver, *options)
        pss = pss_of(tree(system.roots))
        found["full"] = _phase(system, plan, cores, LEAN, f"--shoppers={plan.shoppers}")
    return {**found, "size": {"pss_mib": round(pss, 1), "processes": len(pids)}}


def _phase(system: System, plan: Plan, cores: int, driver_name: str, *options: str) -> Figures:
    command = (
        sys.executable, str(DRIVERS[driver_name]), system.address, f"--warm={plan.warm}",
        f"--seconds={plan.seconds}", *options,
    )  # fmt: skip
    pids = tree(system.roots)  # to look for them later would take a part of what is measured
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        try:
            said = driver.stdout.readline()
            if said.strip() != "begin":
                raise RuntimeError(f"the load of {system.name} did not begin: {said}")
            before, load = Usage.now(pids), Usage.now([driver.pid])
            last = driver.stdout.readline()
            driver_used = spent(load.processes, Usage.now([driver.pid]).processes)
            after = Usage.now(pids)
            used = spent(before.processes, after.processes)
            used += sum(cpu_of(tree(system.roots) - pids).values())  # they have begun meanwhile
            found = json.loads(last)
        finally:
            driver.kill()
    seconds, requests = found["seconds"], max(found["requests"], 1)
    foreign = (after.busy - before.busy - used - driver_used) / seconds
    return {
        "requests": found["requests"],
        "errors": found["errors"],
        "seconds": seconds,
        "per_second": round(found["requests"] / seconds, 1),
        "p50_ms": found["p50"], "p90_ms": found["p90"], "p99_ms": found["p99"],
        "cpu_ms": round(used / requests * 1e3, 4),
        "cores": round(used / seconds, 3),
        "driver_cores": round(driver_used / seconds, 3),
        "driver_ms": round(driver_used / requests * 1e3, 4),
        "foreign_cores": round(max(foreign, 0.0), 3),
        "stolen_cores": round((after.stolen - before.stolen) / seconds, 3),
        "noisy": foreign > NOISE * cores or abs(after.at - before.at - seconds) > NOISE * seconds,
        "cart_lines": found["lines"],
    }  # fmt: skip
