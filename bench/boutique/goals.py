"""What the ratios are meant to be, and which of these goals a table meets.

A goal that is missed is told wherever its figure stands: in the table, below it, and in the chart.
"""

from typing import Final

from summary import Table, ratio

AIMS: Final = {"cpu": {"split": 6.0, "together": 30.0}, "p50": {"split": 5.0, "together": 25.0}}
"""How many times less than gRPC services: CPU when busy, and the median at the constant rate."""

TITLES: Final = {
    "cpu": "CPU, busy", "cpu_at_rate": "CPU at the rate", "p50": "median", "p99": "p99",
    "most": "most requests/s", "memory": "memory", "processes": "processes",
}  # fmt: skip


def judged(table: Table, column: str, system: str) -> str:
    """The ratio to gRPC services, with its aim, if it has one, and whether that is met."""
    found, aim = ratio(table, column, system), AIMS[column].get(system)
    if aim is None:
        return f"{found:.1f}"
    return f"{found:.1f} (aim {aim:g}: {'met' if found >= aim else '**not met**'})"


def missed_aim(table: Table, column: str, system: str) -> float | None:
    """The aim of this ratio, where it is missed."""
    aim = AIMS.get(column, {}).get(system)
    return aim if aim is not None and ratio(table, column, system) < aim else None


def verdicts(table: Table) -> list[str]:
    """A line for each of the other goals that the systems in the table allow to judge."""
    lines: list[str] = []
    if {"split", "grouped", "together"} <= table.keys():
        outside = [
            TITLES[column]
            for column in AIMS
            if not table["together"][column].value
            <= table["grouped"][column].value
            <= table["split"][column].value
        ]
        lines.append(f"- Grouped between split and together: {_met(outside)}.")
    if "rest" in table:
        behind = [
            f"{TITLES[column]} of {system}"
            for system in ("split", "grouped", "together")
            if system in table
            for column in TITLES
            if not _ahead(table, column, system)
        ]
        lines.append(f"- Ahead of FastAPI + httpx services in every column: {_met(behind)}.")
    return lines


def _ahead(table: Table, column: str, system: str) -> bool:
    ours, theirs = table[system][column].value, table["rest"][column].value
    return ours > theirs if column == "most" else ours <= theirs


def _met(exceptions: list[str]) -> str:
    return f"**not met** in {', '.join(exceptions)}" if exceptions else "met"
