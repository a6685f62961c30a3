"""`weaver logs` of a deployment that is over: what it has left, and what is said of it."""

import json
import time
from pathlib import Path

import pytest

from weaver.cli.conclusion import taken_back
from weaver.cli.main import execute
from weaver.control.messages import Fault, LogRecord
from weaver.control.rollout import RolloutReport, VersionReport
from weaver.deployers import left_logs, registry
from weaver.deployers.kept_logs import KeptLogs
from weaver.deployers.registry import Record, log_folder

BEGAN = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def deployed(deployment: str = "d1", app: str = "shop", *, foreground: bool = False) -> Record:
    """One whose manager does not answer."""
    known = len(registry.records())
    record = Record(
        app=app,
        deployment=deployment,
        version=deployment * 32,
        pid=0,
        socket="/nowhere",
        started=BEGAN + known,
        foreground=foreground,
    )
    registry.write(record)
    return record


async def left(record: Record, *messages: str, result: str = "stopped") -> Record:
    """The record of it once it has ended and left these lines."""
    folder = log_folder(record)
    folder.mkdir(parents=True)
    logs = KeptLogs(100, folder)
    logs.add(
        LogRecord(time.time(), "WARNING", text, component="shop.Web", replica="front-1")
        for text in messages
    )
    logs.close()
    return registry.ended(record, result)


def logs_of(
    capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> tuple[list[str], str]:
    """The messages that are shown, and what is said besides."""
    assert execute(["logs", *words]) == code
    out, err = capsys.readouterr()
    return [text.partition("front-1/Web")[2].strip() for text in out.splitlines()], err


async def test_the_log_that_is_left_is_shown_with_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = await left(deployed(), "one", "two", "three")
    for words in (["shop"], ["-f", "shop"], ["shop@d1"], []):
        lines, said = logs_of(capsys, *words)
        assert lines == ["one", "two", "three"]
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.ended))
        assert said == f"shop d1d1d1d1d1d1 (deployment d1) ended at {when}: stopped\n"


async def test_filters_hold_for_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    await left(deployed(), "one", "two", "three")
    assert logs_of(capsys, "shop", "-n", "1")[0] == ["three"]
    assert logs_of(capsys, "shop", "--grep", "TW")[0] == ["two"]
    assert logs_of(capsys, "shop", "--level", "error")[0] == []
    assert logs_of(capsys, "shop", "--replica", "front", "-n", "0")[0] == []
    assert execute(["logs", "shop", "--component", "Web", "-n", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["message"] == "three"


async def test_a_name_that_no_line_has_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    await left(deployed(), "one")
    lines, said = logs_of(capsys, "shop", "--component", "Wbe")
    assert lines == []
    assert 'no line is of a component "Wbe": did you mean "Web"?' in said


async def test_the_last_one_is_meant_and_others_have_to_be_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await left(deployed("d1"), "one")
    await left(deployed("e2"), "two", result="withdrawn")
    lines, said = logs_of(capsys, "shop")
    assert lines == ["two"]
    assert said.endswith(": withdrawn\n")
    assert logs_of(capsys, "shop@d1d1")[0] == ["one"]
    await left(deployed("f3", "till"), "three")
    assert "these have left a log: shop, till" in logs_of(capsys, code=2)[1]
    assert logs_of(capsys, "till")[0] == ["three"]


async def test_of_one_that_runs_its_manager_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    await left(deployed("d1"), "one")
    deployed("e2")
    assert "the manager of shop cannot be reached" in logs_of(capsys, "shop", code=1)[1]
    assert logs_of(capsys, "shop@d1")[0] == ["one"]


async def test_where_no_log_is_left_it_is_said_why(capsys: pytest.CaptureFixture[str]) -> None:
    registry.ended(deployed("d1"), "stopped")
    assert "no log of it is kept" in logs_of(capsys, "shop", code=2)[1]
    registry.ended(deployed("e2", "till", foreground=True), "ended")
    assert "its log was shown there" in logs_of(capsys, "till", code=2)[1]
    assert 'did you mean "till"?' in logs_of(capsys, "tlil", code=2)[1]
    assert 'no application called "other" runs here' in logs_of(capsys, "other", code=2)[1]
    assert "known: d1d1d1d1d1d1 (d1)" in logs_of(capsys, "shop@abc", code=2)[1]


async def test_the_logs_of_the_last_deployments_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LOGS_KEPT", 2)
    found = [await left(deployed(name), "one") for name in ("d1", "e2", "f3")]
    assert [left_logs.is_kept(log_folder(record)) for record in found] == [False, True, True]
    assert not log_folder(found[0]).exists()


async def test_of_a_journal_the_log_alone_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    for name in ("journal.db", "journal.lock", "log.jsonl", "log.1.jsonl"):
        (folder / name).touch()
    left_logs.leave_only(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["log.1.jsonl", "log.jsonl"]
    left_logs.remove(folder)
    (folder).mkdir()
    left_logs.leave_only(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("fix", "expected"),
    [
        ("`weaver logs` shows more", "`weaver logs shop@bbbbbbbbbbbb` shows more"),
        ("", "see: weaver history shop · weaver logs shop@bbbbbbbbbbbb"),
    ],
)
def test_of_a_version_that_was_taken_back_the_log_is_named(fix: str, expected: str) -> None:
    versions = (VersionReport("d2", "b" * 64), VersionReport("d1", "a" * 64, weight=1.0))
    verdict = Fault("it fails", fix=fix)
    report = RolloutReport("shop", "withdrawn", verdict=verdict, versions=versions)
    assert taken_back(report, as_json=True).fix == expected
