"""What became of deployments, as `weaver history` tells it."""

import json
from pathlib import Path

import msgspec
import pytest

from weaver.cli.main import execute
from weaver.cli.render_history import lines_of, result_of, traffic_of
from weaver.control.ingress import FailedRequest
from weaver.control.message import Fault
from weaver.deployers import registry
from weaver.deployers.registry import Record, Shift


def record(started: float, **fields: object) -> Record:
    found = Record(
        app="shop",
        deployment=f"d{started:.0f}",
        version="a" * 64,
        pid=0,
        socket="",
        started=started,
        user="ada",
        revision="0123456789abcdef",
    )
    return msgspec.structs.replace(found, **fields)


STEPS = (
    Shift(1.0, "before", 0.0),
    Shift(2.0, "opening", 0.0),
    Shift(3.0, "shifting", 0.05),
    Shift(4.0, "shifting", 0.25),
    Shift(5.0, "withdrawing", 0.0),
    Shift(6.0, "withdrawn", 0.0),
)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "live"),
        ({"good": 1.0}, "live"),
        ({"shifts": STEPS[:3]}, "rolls out"),
        ({"foreground": True}, "runs in the foreground"),
        ({"ended": 2.0, "result": "replaced"}, "replaced by the next version"),
        ({"ended": 2.0, "result": "rolled back"}, "rolled back"),
        ({"ended": 2.0, "result": "superseded"}, "superseded"),
        (
            {"ended": 2.0, "result": "withdrawn", "fault": Fault("it fails too often")},
            "withdrawn: it fails too often",
        ),
        ({"ended": 2.0, "result": "failed", "fault": Fault("no port")}, "failed: no port"),
        ({"ended": 2.0}, "ended"),
        ({"result": "stopped", "unended": ("web1",)}, "stopped, but not on web1"),
    ],
)
def test_every_end_has_its_words(fields: dict[str, object], said: str) -> None:
    one = record(1.0, **fields)
    assert result_of(one, [one]) == said


def test_an_older_one_that_runs_is_warm_once_the_newer_one_is_good() -> None:
    old, new = record(1.0, good=1.0), record(2.0, shifts=STEPS[:3])
    assert result_of(old, [old, new]) == "live, a rollout moves its users"
    good = msgspec.structs.replace(new, good=2.0)
    assert result_of(old, [old, good]) == "kept warm"
    assert result_of(good, [old, good]) == "live"


def test_traffic_is_told_by_its_changes() -> None:
    assert traffic_of(record(1.0)) == ""
    assert traffic_of(record(1.0, shifts=STEPS)) == "5 %, 25 %, 0 %"


def test_a_row_has_who_when_what_and_the_result() -> None:
    heading, row, traffic = lines_of([record(1.0, shifts=STEPS, ended=9.0, result="aborted")])
    assert heading.split() == [
        *("STARTED", "APP", "VERSION", "REVISION", "DEPLOYMENT", "BY", "RESULT")
    ]
    assert row.split()[2:] == ["shop", "a" * 12, "012345678", "d1", "ada", "aborted"]
    assert traffic.strip() == "traffic: 5 %, 25 %, 0 %"


def test_evidence_stands_below_where_it_is_asked_for() -> None:
    failed = FailedRequest("d1", 0.0, "GET", "/cart", status=500)
    one = record(1.0, ended=2.0, result="withdrawn", evidence=(failed,), lines=("boom",))
    assert len(lines_of([one])) == 2
    found = [text.strip() for text in lines_of([one], evidence=True)[2:]]
    assert found == ["failed requests:", "GET /cart -> 500", "last lines of log:", "boom"]


def test_json_has_the_record_and_the_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    registry.write(record(1.0, shifts=STEPS[:3], good=3.0))
    assert execute(["history", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["state"], found["revision"], found["user"]) == (
        "live",
        "0123456789abcdef",
        "ada",
    )
    assert found["shifts"][2] == {"time": 3.0, "phase": "shifting", "share": 0.05}
    assert execute(["history"]) == 0
    assert "live" in capsys.readouterr().out


def test_what_was_never_deployed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert execute(["history"]) == 0
    assert capsys.readouterr().out == "nothing was deployed on this machine yet\n"
    registry.write(record(1.0, ended=2.0))
    assert execute(["history", "shp"]) == 2
    shown = capsys.readouterr().err
    assert 'no application called "shp" was ever deployed here' in shown
    assert 'did you mean "shop"?' in shown
