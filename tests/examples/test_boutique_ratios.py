"""What `make bench-check` says of two recordings, and which runs a table is made of."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "boutique"
Recorded = dict[str, Any]


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))  # pyright: ignore[reportUnknownMemberType]


def run(system: str, cpu: float, *, noisy: bool = False, errors: int = 0) -> dict[str, Any]:
    phase = {
        "cpu_ms": cpu, "p50_ms": cpu, "p99_ms": cpu, "per_second": 1000 / cpu, "noisy": noisy,
        "errors": errors, "requests": 1000,
    }  # fmt: skip
    return {
        "system": system,
        "rate": phase,
        "full": phase,
        "size": {"pss_mib": 10.0, "processes": 3},
    }


def recorded(grpc: tuple[float, ...], together: tuple[float, ...]) -> Recorded:
    runs = [run("grpc", cpu) for cpu in grpc] + [run("together", cpu) for cpu in together]
    return {"runs": runs}


def compared(old: Recorded, new: Recorded) -> tuple[list[str], bool]:
    summary: Any = import_module("summary")
    check: Any = import_module("check")
    lines, worse = check.compare(summary.table_of(old), summary.table_of(new))
    return [line.split()[-1] for line in lines], worse


def test_a_ratio_that_fell_beyond_the_noise_is_told() -> None:
    before, now = recorded((10, 10.1), (0.5, 0.5)), recorded((10, 10.1), (0.6, 0.6))
    assert compared(before, now) == (["WORSE"] * 3, True)
    assert compared(now, before) == (["BETTER"] * 3, False)


def test_a_ratio_within_the_noise_of_its_runs_has_not_moved() -> None:
    before, now = recorded((10, 10.1), (0.4, 0.6)), recorded((10, 10.1), (0.5, 0.7))
    assert compared(before, now) == (["before"] * 3, False)


def test_another_machine_moves_times_and_not_ratios() -> None:
    assert compared(recorded((10,), (0.5,)), recorded((30,), (1.5,))) == (["before"] * 3, False)


def test_noisy_runs_count_only_where_there_is_no_other() -> None:
    summary: Any = import_module("summary")
    runs = [run("grpc", 10), run("grpc", 30, noisy=True), run("together", 1, noisy=True)]
    table = summary.table_of({"runs": runs})
    assert (table["grpc"]["cpu"].value, table["grpc"]["cpu"].quiet) == (10, 1)
    assert (table["together"]["cpu"].value, table["together"]["cpu"].quiet) == (1, 0)


def test_a_rate_with_errors_does_not_count() -> None:
    summary: Any = import_module("summary")
    runs = [run("grpc", 10), run("grpc", 1, errors=2)]
    assert summary.table_of({"runs": runs})["grpc"]["most"].value == 100


def test_the_table_tells_which_aims_are_met_and_which_are_not() -> None:
    tables: Any = import_module("tables")
    summary: Any = import_module("summary")
    raw: Recorded = recorded((10,), (0.4,)) | {"settings": {"rate": 40}}
    raw["runs"][-1] = run("together", 0.4) | {"full": run("together", 0.3)["full"]}
    told = tables.markdown(raw)
    assert "| 33.3 (aim 30: met) |" in told
    assert "| 25.0 (aim 25: met) |" in told
    raw["runs"][-1] = run("together", 0.5)
    assert "| 20.0 (aim 25: **not met**) |" in tables.markdown(raw)
    goals: Any = import_module("goals")
    assert goals.missed_aim(summary.table_of(raw), "p50", "together") == 25
    assert goals.missed_aim(summary.table_of(raw), "memory", "together") is None


def test_a_system_behind_the_rest_baseline_is_named_with_the_column() -> None:
    goals: Any = import_module("goals")
    summary: Any = import_module("summary")
    runs: list[Any] = [run("grpc", 10), run("rest", 20), run("split", 2), run("grouped", 1)]
    told = goals.verdicts(summary.table_of({"runs": [*runs, run("together", 0.5)]}))
    assert told == [
        "- Grouped between split and together: met.",
        "- Ahead of FastAPI + httpx services in every column: met.",
    ]
    runs[2]["size"]["processes"] = 14
    runs[3] = run("grouped", 3)
    told = goals.verdicts(summary.table_of({"runs": [*runs, run("together", 0.5)]}))
    assert told == [
        "- Grouped between split and together: **not met** in CPU, busy, median.",
        "- Ahead of FastAPI + httpx services in every column: **not met** in processes of split.",
    ]


def test_the_chart_names_every_system_and_the_ratios() -> None:
    chart: Any = import_module("chart")
    raw = recorded((10,), (0.5,)) | {
        "settings": {"rate": 40},
        "machine": {"cores": 2, "python": "3"},
    }
    for theme in ("light", "dark"):
        drawing = chart.draw(raw, theme)
        assert "gRPC services" in drawing
        assert "(20.0x less; aim 25x)" in drawing
