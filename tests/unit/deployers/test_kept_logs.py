"""The log that outlives a manager: what is kept, how much, and what is told twice."""

import asyncio
from pathlib import Path

import pytest

from weaver.control.messages import LogRecord
from weaver.deployers import kept_logs
from weaver.deployers.kept_logs import KeptLogs


def record(number: int, message: str = "") -> LogRecord:
    return LogRecord(float(number), "INFO", message or f"line {number}", replica="front-1")


def messages(logs: KeptLogs) -> list[str]:
    return [entry.message for entry in logs.latest]


async def test_the_next_manager_has_the_records_of_the_one_before(tmp_path: Path) -> None:
    logs = KeptLogs(10, tmp_path)
    logs.add([record(1), record(2, "schön\nund mehr")])
    logs.close()
    after = KeptLogs(10, tmp_path)
    assert list(after.latest) == [record(1), record(2, "schön\nund mehr")]
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600


async def test_what_is_told_again_is_there_once_and_new_records_follow(tmp_path: Path) -> None:
    logs = KeptLogs(10, tmp_path)
    logs.add([record(1), record(2)])
    logs.close()
    after = KeptLogs(10, tmp_path)
    with after.follow() as reader:
        after.add([record(1), record(2), record(3)])
        assert await reader.take() == [record(3)]
    after.close()
    assert messages(KeptLogs(10, tmp_path)) == ["line 1", "line 2", "line 3"]


async def test_records_are_written_soon_without_an_end(tmp_path: Path) -> None:
    logs = KeptLogs(10, tmp_path)
    logs.add([record(1)])
    async with asyncio.timeout(30):
        while not (tmp_path / "log.jsonl").exists():
            await asyncio.sleep(0.01)
    assert messages(KeptLogs(10, tmp_path)) == ["line 1"]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def test_two_files_of_bounded_size_hold_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_logs, "MOST", 1000)
    logs = KeptLogs(1000, tmp_path)
    for number in range(200):
        logs.add([record(number)])
        logs._write()
    assert size_of(tmp_path) < 2500
    found = messages(KeptLogs(1000, tmp_path))
    assert found == [f"line {number}" for number in range(200 - len(found), 200)]
    assert len(found) > 10
    logs.close()


async def test_a_line_that_was_cut_off_costs_that_line_only(tmp_path: Path) -> None:
    logs = KeptLogs(10, tmp_path)
    logs.add([record(1)])
    logs.close()
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"time": 2.0, "lev\n')
    logs.add([record(3)])
    logs.close()
    assert messages(KeptLogs(10, tmp_path)) == ["line 1", "line 3"]


async def test_a_disk_that_takes_nothing_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logs = KeptLogs(10, tmp_path / "gone")
    for number in range(3):
        logs.add([record(number)])
        logs._write()
    assert len(caplog.records) == 1
    assert messages(logs) == ["line 0", "line 1", "line 2"]
    logs.close()
