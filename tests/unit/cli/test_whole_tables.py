"""A table on a narrow terminal is wrapped by the terminal, and never cut."""

import pytest
from rich.table import Table

from weaver.cli.whole_tables import console_for


@pytest.mark.parametrize("columns", ["20", "200"])
def test_no_cell_is_cut(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    table, other = Table("GROUP", "REPLICA", "PID", box=None), Table("METHOD", box=None)
    table.add_row("recommendations", "recommendations-12", "1234567")
    other.add_row("a" * 70)
    console = console_for(table, other)
    console.print(table)
    console.print(other)
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split() == ["recommendations", "recommendations-12", "1234567"]
    assert rows[3].strip() == "a" * 70
