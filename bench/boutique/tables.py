"""The table as text, for the terminal and for a page."""

from typing import Any

from goals import judged, verdicts
from summary import (
    PAPER,
    Table,
    cell,
    drivers_of,
    error_share,
    phase_of,
    phases_of,
    ratio,
    table_of,
)

LABELS = {
    "grpc": "gRPC services",
    "rest": "FastAPI + httpx services",
    "split": "weaver, split",
    "grouped": "weaver, grouped",
    "together": "weaver, together",
}


def markdown(recorded: dict[str, Any]) -> str:
    """The rows of all systems, and the ratios beside the paper's and the aims."""
    table = table_of(recorded)
    parts = [*_rows(recorded, table), "", *_ratios(table)]
    if others := verdicts(table):
        parts += ["", *others]
    if len(drivers_of(recorded)) > 1:
        parts += ["", *_by_driver(recorded, table)]
    return "\n".join(parts)


def _rows(recorded: dict[str, Any], table: Table) -> list[str]:
    rate = recorded["settings"]["rate"]
    lines = [
        *_head(
            "",
            "CPU ms per request, busy",
            f"the same at {rate:g}/s",
            f"median ms at {rate:g}/s",
            "p99 ms",
            "most requests/s",
            "memory MiB",
            "processes",
            "errors",
        )
    ]
    for system, row in table.items():
        cells = (
            f"{row['cpu'].value:.2f}", f"{row['cpu_at_rate'].value:.2f}",
            f"{row['p50'].value:.2f}", f"{row['p99'].value:.1f}", f"{row['most'].value:.0f}",
            f"{row['memory'].value:.0f}", f"{row['processes'].value:.0f}",
            f"{error_share(recorded, system):.2%}",
        )  # fmt: skip
        lines.append(f"| {LABELS[system]} | {' | '.join(cells)} |")
    return lines


def _head(*titles: str) -> list[str]:
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]


def _ratios(table: Table) -> list[str]:
    lines = [
        *_head(
            "times less than gRPC services",
            "CPU, busy",
            "the paper's cores",
            "CPU at the rate",
            "median",
            "the paper's median",
        )
    ]
    for system in table:
        if system == "grpc" or "grpc" not in table:
            continue
        cpu, at_rate = judged(table, "cpu", system), ratio(table, "cpu_at_rate", system)
        cores, median = (PAPER[column].get(system, "") for column in ("cpu", "p50"))
        lines.append(
            f"| {LABELS[system]} | {cpu} | {cores} | {at_rate:.1f} |"
            f" {judged(table, 'p50', system)} | {median} |"
        )
    return lines


def _by_driver(recorded: dict[str, Any], table: Table) -> list[str]:
    """The same systems at the same rate, as each driver sees them."""
    drivers = drivers_of(recorded)
    titles = ("median ms", "p99 ms", "CPU ms per request", "the driver's own CPU ms")
    rate = recorded["settings"]["rate"]
    lines = _head(
        f"at {rate:g}/s by driver", *(f"{title}, {d}" for title in titles for d in drivers)
    )
    for system in table:
        figures = [
            [cell(recorded, system, phase_of(driver, drivers), figure).value for driver in drivers]
            for figure in ("p50_ms", "p99_ms", "cpu_ms", "driver_ms")
        ]
        cells = [f"{value:.2f}" for of_drivers in figures for value in of_drivers]
        lines.append(f"| {LABELS[system]} | {' | '.join(cells)} |")
    return lines


def about(recorded: dict[str, Any]) -> str:
    """One paragraph: machine, versions, how the runs went."""
    machine, settings = recorded["machine"], recorded["settings"]
    runs = recorded["runs"]
    phases = [run[phase] for run in runs for phase in phases_of(recorded)]
    drivers = drivers_of(recorded)
    others = f" and again by {', '.join(drivers[1:])}" if drivers[1:] else ""
    noisy = sum(phase["noisy"] for phase in phases)
    foreign = sorted(phase["foreign_cores"] for phase in phases)
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    versions += f"; the core of weaver is {machine['core']}" if "core" in machine else ""
    return (
        f"{machine['taken']}: {machine['processor']}, {machine['cores']} cores,"
        f" {machine['system']}, Python {machine['python']}; {versions}.\n"
        f"{settings['rounds']} alternating rounds, {settings['seconds']:g} s a phase,"
        f" {settings['rate']:g} requests/s by the driver {drivers[0]}{others}, then"
        f" {settings['shoppers']} shoppers of the lean one without a pause."
        f" Foreign CPU: {foreign[0]:.2f} to {foreign[-1]:.2f} cores, median"
        f" {foreign[len(foreign) // 2]:.2f}; {noisy} of {len(phases)} phases were noisy"
        f" (more than {settings['noise']:.0%} of the machine), and count only where no other did."
    )
