"""How a version counts that ended while it had no manager: as its rollout had decided."""

from pathlib import Path

import msgspec
import pytest

from weaver.control.messages import Fault
from weaver.deployers import registry
from weaver.deployers.directories import state_directory
from weaver.deployers.journal import Journal
from weaver.deployers.lost_versions import close_lost
from weaver.deployers.registry import Record
from weaver.manager.rollout.state import Outcome, Phase, Rollout

BAD = Fault("it fails")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def note(deployment: str) -> Record:
    started = float(deployment[1:])
    record = Record(
        app="shop", deployment=deployment, version="v", pid=0, socket="", started=started
    )
    registry.write(record)
    return record


def rolled(phase: Phase, outcome: Outcome = "", fault: Fault | None = None) -> None:
    """What the manager had saved of the rollout from d1 to d2."""
    rollout = Rollout(old="d1", new="d2", phase=phase, outcome=outcome, fault=fault)
    with Journal(state_directory("journals", "shop", "d2")) as journal:
        journal.save_rollout(msgspec.msgpack.encode(rollout))


@pytest.mark.parametrize(
    ("outcome", "fault", "result"),
    [
        ("aborted", None, "aborted"),
        ("failed", BAD, "withdrawn"),
        ("superseded", None, "superseded"),
    ],
)
def test_one_that_was_being_taken_back_was_taken_back(
    outcome: Outcome, fault: Fault | None, result: str
) -> None:
    note("d1")
    new = note("d2")
    rolled("removing", outcome, fault)
    close_lost(new)
    found = registry.latest(new)
    assert found.ended
    assert (found.result, found.fault) == (result, fault)


def test_one_that_was_being_stopped_after_its_successor_was_replaced() -> None:
    old = note("d1")
    note("d2")
    rolled("retiring", "promoted")
    close_lost(old)
    assert registry.latest(old).result == "replaced"


@pytest.mark.parametrize("lost", ["d1", "d2"])
def test_one_that_ended_in_the_middle_of_a_rollout_was_lost(lost: str) -> None:
    records = {name: note(name) for name in ("d1", "d2")}
    rolled("shifting")
    close_lost(records[lost])
    assert registry.latest(records[lost]).result == "lost"


def test_without_a_journal_it_was_lost() -> None:
    record = note("d1")
    close_lost(record)
    assert registry.latest(record).result == "lost"


def test_what_its_manager_has_noted_stays() -> None:
    record = note("d2")
    rolled("shifting")
    registry.ended(record, "stopped")
    close_lost(record)
    assert registry.latest(record).result == "stopped"
