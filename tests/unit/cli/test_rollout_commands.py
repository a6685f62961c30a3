"""rollout, promote, pause and abort, asked of a manager that answers as it is told."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_manager import FakeManager

from weaver.cli import succession
from weaver.cli.main import execute
from weaver.control.ingress import FailedRequest
from weaver.control.message import Fault
from weaver.control.rollout import RolloutReport, VersionReport
from weaver.deployers import registry
from weaver.deployers.registry import Record

NEW, OLD = "b" * 64, "a" * 64
STEPS = (0.05, 1.0)


def report(phase: str, weight: float = 0.0, **fields: object) -> RolloutReport:
    versions = (
        VersionReport("d2", NEW, weight=weight, ready=2, wanted=2),
        VersionReport("d1", OLD, weight=1 - weight, ready=2, wanted=2),
    )
    found = RolloutReport("shop", phase, steps=STEPS, versions=versions)
    return msgspec.structs.replace(found, **fields)


BAD = Fault("it fails 50 % of its requests", "step 1", "4 of 8", "repair it")


@pytest.fixture(autouse=True)
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    with tempfile.TemporaryDirectory(prefix="weaver-") as folder:  # paths of sockets are short
        yield Path(folder)


def manager(folder: Path, *reports: RolloutReport) -> FakeManager:
    path = folder / "manager.sock"
    registry.write(
        Record(app="shop", deployment="d2", version=NEW, pid=0, socket=str(path), started=1.0)
    )
    return FakeManager(path, reports)


def test_following_ends_well_when_the_new_version_serves_alone(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = (
        report("starting"),
        report("shifting", 0.05),
        report("shifting", 0.05, versions=report("shifting", 0.05).versions),
        report("shifting", 1.0, step=1),
        report("warm", 1.0),
    )
    with manager(sockets, *phases):
        assert execute(["rollout", "-f"]) == 0
    *lines, words, listener, warm = capsys.readouterr().out.splitlines()
    assert words == "shop bbbbbbbbbbbb serves alone (deployment d2)"
    assert listener == "listener http: http://127.0.0.1:8080"
    assert warm == "aaaaaaaaaaaa is kept warm: weaver rollback shop"
    assert [line.partition(";")[0].partition(",")[0] for line in lines] == [
        "the new version starts",
        "traffic shifts",
        "traffic shifts",
        "the new version serves alone",
    ]


def test_a_last_hook_that_fails_is_told_although_the_new_version_serves(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = Fault("the after hook failed: sh ended with exit code 4")
    over = report("warm", 1.0, verdict=hook, lines=("cannot announce",))
    with manager(sockets, report("shifting", 1.0, step=1), over):
        assert execute(["rollout", "-f"]) == 0
    said = capsys.readouterr()
    assert "serves alone" in said.out
    assert said.err.splitlines() == [hook.what, "cannot announce"]


def test_a_version_that_another_manager_has_not_found_was_lost(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = (VersionReport("d1", OLD, weight=1.0, ready=2, wanted=2),)
    with manager(sockets, report("starting"), report("done", versions=alone)):
        assert execute(["rollout", "-f"]) == 1
    assert "shop bbbbbbbbbbbb was lost before it could serve" in capsys.readouterr().err


def test_following_tells_why_a_version_was_taken_back_with_evidence(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = FailedRequest("d2", 0.0, "GET", "/cart", status=500, backend="Web-1", why="")
    ended = report("removing", verdict=BAD, evidence=(failed,), lines=("Traceback: boom",))
    with manager(sockets, report("shifting", 0.05), report("withdrawing", verdict=BAD), ended):
        assert execute(["rollout", "shop", "-f"]) == 1
    shown = capsys.readouterr().err
    assert "shop bbbbbbbbbbbb was taken back; aaaaaaaaaaaa serves everybody" in shown
    for words in ("fails 50 %", "4 of 8", "repair it", "GET /cart -> 500 from Web-1", "boom"):
        assert words in shown


def test_json_has_an_object_for_each_change(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with manager(sockets, report("starting"), report("starting"), report("done", 1.0)):
        assert execute(["rollout", "-f", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["phase"] for each in found] == ["starting", "done"]
    assert found[1]["versions"][0]["weight"] == 1.0


def test_without_follow_it_is_shown_once(sockets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with manager(sockets, report("shifting", 0.05, held=True)):
        assert execute(["rollout"]) == 0
    shown = capsys.readouterr().out
    assert "step 1 of 2 (5 %), paused" in shown
    assert "VERSION" in shown


def test_pause_says_how_to_go_on(sockets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with manager(sockets, report("shifting", 0.05)) as asked:
        asked.after = [report("shifting", 0.05, held=True)]
        assert execute(["pause", "shop"]) == 0
        assert asked.steered == ["pause"]
    shown = capsys.readouterr().out
    assert "paused" in shown
    assert "weaver pause --resume shop" in shown


def test_pause_goes_on_again(sockets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with manager(sockets, report("shifting", 0.05)) as asked:
        assert execute(["pause", "--resume", "--json"]) == 0
        assert asked.steered == ["resume"]
    assert json.loads(capsys.readouterr().out)["held"] is False


def test_promote_waits_until_the_new_version_serves_alone(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with manager(sockets, report("shifting", 0.05)) as asked:
        asked.after = [report("closing", 1.0), report("warm", 1.0)]
        assert execute(["promote"]) == 0
        assert asked.steered == ["promote"]
    assert "shop bbbbbbbbbbbb serves alone" in capsys.readouterr().out


def test_abort_waits_until_the_old_version_serves_everybody(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with manager(sockets, report("shifting", 0.05)) as asked:
        asked.after = [report("withdrawing", 0.0)]
        assert execute(["abort"]) == 0
        assert asked.steered == ["abort"]
    assert "shop aaaaaaaaaaaa serves everybody" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["promote"], ["pause"], ["abort"]])
def test_a_refusal_is_told_by_versions(
    sockets: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with manager(sockets, report("done", 1.0)) as asked:
        asked.refusal = Fault("d2 serves everybody already", fix="deploy something")
        assert execute(words) == 2
    assert "bbbbbbbbbbbb serves everybody already" in capsys.readouterr().err


def test_a_manager_that_is_gone_is_told_with_what_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = Record(app="shop", deployment="d2", version=NEW, pid=0, socket="/nowhere", started=1.0)
    registry.write(record)
    assert execute(["rollout"]) == 1
    assert "weaver attach shop" in capsys.readouterr().err


def test_the_other_version_is_asked_where_the_new_one_has_ended(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = (VersionReport("d3", NEW), VersionReport("d2", OLD, weight=1.0))
    with manager(sockets, report("withdrawn", verdict=BAD, versions=versions)):
        record = registry.current("shop")
        gone = msgspec.structs.replace(record, deployment="d3", socket="/nowhere", started=2.0)
        registry.write(gone)
        registry.ended(gone, "withdrawn", BAD)
        from weaver.cli import conclusion

        with pytest.raises(Exception, match="was taken back"):
            conclusion.wait(gone, as_json=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succession, "PATIENCE", 0.1)
    monkeypatch.setattr(succession, "UNNOTICED", 0.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_a_manager_it_says_where_the_rollout_waits(
    sockets: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with manager(sockets, report("shifting", 0.05)) as asked:
        asked.meanwhile = lambda _: len(asked.requests) > 1
        assert execute(["rollout", "-f", *words]) == 1
    said = capsys.readouterr()
    at_once, last = said.err.split("error: ")
    assert "the manager of shop has gone; what runs of it serves on" in at_once
    assert "the rollout waits where it was: traffic shifts, step 1 of 2 (5 %)" in last
    assert "weaver attach shop" in last
    lines = said.out.splitlines()
    assert len(lines) == 1
    assert not words or json.loads(lines[0])["phase"] == "shifting"


def test_one_that_is_stopped_meanwhile_does_not_go_on(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with manager(sockets, report("shifting", 0.05)) as asked:
        record = registry.current("shop")
        asked.meanwhile = lambda _: (
            len(asked.requests) > 1 and bool(registry.ended(record, "stopped"))
        )
        assert execute(["rollout", "-f"]) == 1
    shown = capsys.readouterr().err
    assert "shop bbbbbbbbbbbb has ended" in shown
    assert "it is stopped" in shown


def test_abort_names_the_one_that_was_taken_back_although_it_has_ended_by_then(
    sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = report("done", versions=(VersionReport("d1", OLD, weight=1.0),))
    path = sockets / "old.sock"
    old = Record(app="shop", deployment="d1", version=OLD, pid=0, socket=str(path), started=0.5)
    registry.write(old)
    with manager(sockets, report("starting")) as asked, FakeManager(path, [alone]):
        record = registry.current("shop")
        asked.meanwhile = lambda name: (
            name == "GetRollout" and bool(registry.ended(record, "aborted"))
        )
        assert execute(["abort", "shop"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "shop bbbbbbbbbbbb was taken back",
        "shop aaaaaaaaaaaa serves everybody",
    ]


@pytest.mark.parametrize("word", ["abort", "promote"])
def test_what_has_ended_as_it_is_told_says_so(
    sockets: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    with manager(sockets, report("shifting", 0.05)) as asked:
        record = registry.current("shop")
        asked.meanwhile = lambda _: bool(registry.ended(record, "withdrawn"))
        assert execute([word, "shop"]) == 2
    shown = capsys.readouterr().err
    assert "shop bbbbbbbbbbbb has ended already" in shown
    assert "it is withdrawn" in shown


def test_a_manager_that_has_taken_over_meanwhile_is_told_instead(sockets: Path) -> None:
    path = sockets / "next.sock"
    with manager(sockets, report("shifting", 0.05)) as asked, FakeManager(path) as following:
        record = msgspec.structs.replace(registry.current("shop"), pid=7, socket=str(path))

        def replaced(_name: str) -> bool:
            registry.write(record)
            return True

        asked.meanwhile = replaced
        following.reports = [report("warm", 1.0)]
        assert execute(["promote", "shop"]) == 0
        assert following.steered == ["promote"]
