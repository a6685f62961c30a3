"""Which version serves under a manager that took over, while one of them ends at any moment."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_manager import FakeManager

from weaver.cli import succession
from weaver.cli.attached import wait_attached
from weaver.cli.detached import start_manager, wait_live
from weaver.control.messages import Application, Fault
from weaver.control.rollout import RolloutReport, VersionReport
from weaver.deployers import directories, registry
from weaver.deployers.estate import Estate
from weaver.deployers.manager_process import Former, Task
from weaver.deployers.registry import Record
from weaver.errors import WeaverError
from weaver.manager.state import Desired, Spec

NEW, OLD = "b" * 64, "a" * 64
VERSIONS = (VersionReport("d2", NEW), VersionReport("d1", OLD, weight=1.0))
SHIFTING = RolloutReport("shop", "shifting", versions=VERSIONS)
WITHDRAWING = RolloutReport("shop", "withdrawing", versions=VERSIONS)
ALONE = (VersionReport("d2", NEW, weight=1.0),)
DONE = RolloutReport("shop", "done", versions=ALONE)

OPEN = contextlib.ExitStack


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="weaver-") as name:  # paths of sockets are short
        yield Path(name)


@pytest.fixture
def managers() -> Iterator[OPEN]:
    with OPEN() as stack:
        yield stack


def estate(deployment: str) -> Estate:
    application = Application(app="shop", version="", deployment=deployment, target="")
    return Estate(
        spec=Spec(application=application, groups={}, hosts={}), desired=Desired(), epoch=0
    )


TASK = Task(estate("d2"), former=(Former(estate("d1")),))


def note(deployment: str, socket: Path, **fields: Any) -> Record:
    """The record of the new version, d2, or of the old one, d1."""
    record = Record(
        app="shop",
        deployment=deployment,
        version=NEW if deployment == "d2" else OLD,
        pid=0,
        socket=str(socket),
        started=float(deployment[1:]),
    )
    record = msgspec.structs.replace(record, **fields)
    registry.write(record)
    return record


def new_one(managers: OPEN, sockets: Path, *states: str, rollout: RolloutReport) -> FakeManager:
    return managers.enter_context(FakeManager(sockets / "new", [rollout], states=states))


def old_one(managers: OPEN, sockets: Path, rollout: RolloutReport = WITHDRAWING) -> FakeManager:
    fake = FakeManager(sockets / "old", [rollout], deployment="d1", version=OLD)
    return managers.enter_context(fake)


def once(name: str, act: Callable[[], object]) -> Callable[[str], bool]:
    """At the first request of this name: `act`, and then the manager goes."""
    left = [name]

    def meanwhile(asked: str) -> bool:
        if asked in left:
            left.clear()
            act()
            return True
        return False

    return meanwhile


def test_the_newest_that_is_live_serves(
    managers: OPEN, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_one(managers, sockets, "starting", "live", rollout=SHIFTING)
    old_one(managers, sockets, SHIFTING)
    note("d1", sockets / "old")
    assert wait_attached(note("d2", sockets / "new"), TASK, as_json=False) == 0
    said = capsys.readouterr()
    assert "shop bbbbbbbbbbbb is live (deployment d2)" in said.out
    assert "rollout shop  bbbbbbbbbbbb after aaaaaaaaaaaa: traffic shifts" in said.out
    assert said.err == ""


def taken_back(record: Record, capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Attaching tells that the old version serves, and in a line what became of the new one."""
    assert wait_attached(record, TASK, as_json=False) == 0
    said = capsys.readouterr()
    assert "shop aaaaaaaaaaaa is live (deployment d1)" in said.out
    assert said.err == f"shop bbbbbbbbbbbb {words}\n"


def test_one_that_has_ended_at_the_first_look_was_taken_back(
    managers: OPEN, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old_one(managers, sockets)
    note("d1", sockets / "old")
    record = note("d2", sockets / "new", ended=3.0, result="aborted")
    taken_back(record, capsys, "has been taken back meanwhile")


def test_one_that_is_being_taken_back_is_not_what_serves(
    managers: OPEN, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_one(managers, sockets, "live", rollout=WITHDRAWING)
    old_one(managers, sockets)
    note("d1", sockets / "old")
    taken_back(note("d2", sockets / "new"), capsys, "is being taken back")


def test_one_that_ends_once_it_was_live_was_taken_back(
    managers: OPEN, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = note("d2", sockets / "new")
    new = new_one(managers, sockets, "live", rollout=WITHDRAWING)
    new.meanwhile = once("GetRollout", lambda: registry.ended(record, "aborted"))
    old_one(managers, sockets)
    note("d1", sockets / "old")
    taken_back(record, capsys, "has been taken back meanwhile")


def test_the_record_of_the_one_before_may_come_after_the_end_of_the_new_one(
    managers: OPEN, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = note("d2", sockets / "new")
    new_one(managers, sockets, "stopping", rollout=WITHDRAWING)
    before = FakeManager(sockets / "before", deployment="d1", version=OLD)
    managers.enter_context(before)
    old_one(managers, sockets)
    note("d1", sockets / "before")

    def act() -> None:
        registry.ended(record, "aborted")
        note("d1", sockets / "old")

    before.meanwhile = once("GetStatus", act)
    taken_back(record, capsys, "has been taken back meanwhile")
    assert before.requests == ["GetStatus"]


def test_one_whose_manager_is_replaced_at_the_second_question_is_asked_again(
    managers: OPEN, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = note("d2", sockets / "first")
    first = FakeManager(sockets / "first", [SHIFTING])
    managers.enter_context(first)
    first.meanwhile = once("GetRollout", lambda: note("d2", sockets / "new"))
    new_one(managers, sockets, "live", rollout=SHIFTING)
    old_one(managers, sockets, SHIFTING)
    note("d1", sockets / "old")
    assert wait_attached(record, TASK, as_json=False) == 0
    said = capsys.readouterr()
    assert "shop bbbbbbbbbbbb is live (deployment d2)" in said.out
    assert said.err == ""


def test_where_all_have_ended_it_says_why_the_newest_has(managers: OPEN, sockets: Path) -> None:
    record = note("d2", sockets / "new")
    new = new_one(managers, sockets, "starting", rollout=SHIFTING)
    fault = Fault("it does not start")
    new.meanwhile = once("GetStatus", lambda: registry.ended(record, "failed", fault))
    note("d1", sockets / "old", ended=3.0, result="lost")
    with pytest.raises(WeaverError, match="it does not start"):
        wait_attached(record, TASK, as_json=False)


def test_without_a_manager_it_says_so_and_gives_up_in_the_end(
    sockets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(succession, "PATIENCE", 0.2)
    monkeypatch.setattr(succession, "UNNOTICED", 0.0)
    note("d1", sockets / "old")
    with pytest.raises(succession.ManagerGone, match="has gone, and none has taken over") as found:
        wait_attached(note("d2", sockets / "new"), TASK, as_json=False)
    assert found.value.fix.endswith("weaver attach shop")
    assert "its replicas serve on" in found.value.why
    assert capsys.readouterr().err.count("Put a new one in charge") == 1


def test_a_deploy_goes_on_with_the_manager_that_takes_over(
    managers: OPEN,
    sockets: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(succession, "UNNOTICED", 0.0)
    record = note("d2", sockets / "first")
    first = FakeManager(sockets / "first", states=["starting"])
    managers.enter_context(first)
    tries = ["a second one finds nobody", "the third one somebody else"]

    def meanwhile(_name: str) -> bool:
        if len(first.requests) > len(tries):
            note("d2", sockets / "new", pid=7)
        return len(first.requests) > 1

    first.meanwhile = meanwhile
    new_one(managers, sockets, "starting", "live", rollout=DONE)
    assert wait_live(record, as_json=False) == 0
    said = capsys.readouterr()
    assert "shop bbbbbbbbbbbb is live" in said.out
    gone, again = said.err.splitlines()
    assert "the manager of shop has gone" in gone
    assert again == "shop has a manager again, process 7"


def test_a_first_version_is_waited_for_until_its_hooks_have_ended_and_it_serves(
    managers: OPEN, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = note("d2", sockets / "new")
    before = RolloutReport("shop", "before", versions=ALONE)
    gone = RolloutReport("shop", "removing", verdict=Fault("no such table"), versions=ALONE)
    reports = [before, gone]
    managers.enter_context(FakeManager(sockets / "new", reports, states=["live"]))
    with pytest.raises(WeaverError, match="was taken back") as found:
        wait_live(record, as_json=False)
    assert found.value.why == "no such table"
    assert wait_live(record, as_json=False, detach=True) == 0
    said = capsys.readouterr().out
    assert said.count("is live") == 1
    assert "hook" not in said, "it is only shown where it can be taken away again"


def test_a_first_version_that_was_aborted_says_so(sockets: Path) -> None:
    record = note("d2", sockets / "gone", ended=5.0, result="aborted")
    with pytest.raises(WeaverError, match="shop bbbbbbbbbbbb was taken back") as found:
        wait_live(record, as_json=False)
    assert found.value.why == "by command: weaver abort"


MANAGER = """
import os, sys
from weaver.deployers.registry import Record, write
sys.stdin.buffer.read()
write(Record(app="shop", deployment="d2", version="v", pid=os.getpid(), socket="", started=2.0))
"""


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_manager_that_ends_right_after_its_record_has_started() -> None:
    record = start_manager([sys.executable, "-c", MANAGER], TASK)
    assert record.deployment == "d2"
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, 0)


def test_a_log_of_the_manager_that_cannot_be_written_is_an_error_of_its_own() -> None:
    path = directories.state_directory("logs", "shop", "d2.log")
    with pytest.raises(WeaverError, match="the log of the manager cannot be written") as found:
        start_manager([sys.executable, "-c", MANAGER], TASK)
    assert found.value.where == str(path)
