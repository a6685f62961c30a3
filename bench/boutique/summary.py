"""From raw runs to one row per system, with ratios to the gRPC baseline and their noise."""

import statistics
from dataclasses import dataclass
from typing import Any

GOOD = 0.001
"""Share of errors from which a rate does not count."""

PAPER = {"cpu": {"split": 2.8, "together": 8.7}, "p50": {"split": 2.1, "together": 14.4}}
"""How many times less the paper's prototype took than its baseline: cores, and median latency."""

COLUMNS = {
    "cpu": ("full", "cpu_ms"),
    "cpu_at_rate": ("rate", "cpu_ms"),
    "p50": ("rate", "p50_ms"),
    "p99": ("rate", "p99_ms"),
    "most": ("full", "per_second"),
    "memory": ("size", "pss_mib"),
    "processes": ("size", "processes"),
}


@dataclass(frozen=True)
class Cell:
    """A median over runs; `spread` is (largest - least) / median, `quiet` how many runs were so."""

    value: float
    spread: float
    runs: int
    quiet: int


Table = dict[str, dict[str, Cell]]
"""By system and column."""


def drivers_of(recorded: dict[str, Any]) -> tuple[str, ...]:
    """What kept the constant rate; figures of "rate" are by the first."""
    return tuple(recorded.get("settings", {}).get("drivers", ["lean"]))


def phase_of(driver: str, drivers: tuple[str, ...]) -> str:
    """The name of the phase in which this driver keeps the rate."""
    return "rate" if driver == drivers[0] else f"rate by {driver}"


def phases_of(recorded: dict[str, Any]) -> list[str]:
    """The names of all phases of a run."""
    drivers = drivers_of(recorded)
    return [*(phase_of(driver, drivers) for driver in drivers), "full"]


def table_of(recorded: dict[str, Any]) -> Table:
    """Medians of quiet runs; of all, where none was quiet."""
    systems = list(dict.fromkeys(run["system"] for run in recorded["runs"]))
    return {
        system: {column: cell(recorded, system, *where) for column, where in COLUMNS.items()}
        for system in systems
    }


def cell(recorded: dict[str, Any], system: str, phase: str, figure: str) -> Cell:
    """One figure of one phase of a system, over all its runs."""
    runs = [run for run in recorded["runs"] if run["system"] == system]
    quiet = [run for run in runs if not run[phase].get("noisy", False)]
    taken = quiet or runs
    if figure == "per_second":
        taken = [run for run in taken if _errors(run[phase]) < GOOD] or taken
    values = [float(run[phase][figure]) for run in taken]
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / middle if middle else 0.0
    return Cell(middle, spread, len(taken), len(quiet))


def _errors(phase: dict[str, float]) -> float:
    return phase["errors"] / max(phase["requests"], 1)


def error_share(recorded: dict[str, Any], system: str) -> float:
    """Errors among all requests of a system."""
    names = phases_of(recorded)
    phases = [run[p] for run in recorded["runs"] if run["system"] == system for p in names]
    return sum(p["errors"] for p in phases) / max(sum(p["requests"] for p in phases), 1)


def ratio(table: Table, column: str, system: str, to: str = "grpc") -> float:
    """How many times less than the baseline a system takes."""
    return table[to][column].value / max(table[system][column].value, 1e-9)


def noise(table: Table, column: str, system: str, to: str = "grpc") -> float:
    """The relative uncertainty of that ratio, from the spread of the runs of both."""
    return float((table[to][column].spread ** 2 + table[system][column].spread ** 2) ** 0.5) / 2
