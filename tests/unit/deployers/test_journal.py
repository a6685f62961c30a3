import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ordinary_rights import ORDINARY

from weaver.control.messages import Fault, ReplicaExited
from weaver.control.operator import HistoryEvent
from weaver.deployers.journal import KEPT, Journal
from weaver.errors import WeaverError
from weaver.manager.assignment import assign
from weaver.manager.events import Began, Broke, Event, HostSaid, ScaleRequested, TimerFired
from weaver.manager.hosts import Slot
from weaver.manager.state import Desired
from weaver.routing import Assignment

DESIRED = Desired(
    {"front": 2},
    {"front-1": Slot("front", "here"), "front-2": Slot("front", "there")},
    {"front": assign(Assignment(), ["front-1", "front-2"])},
    live=True,
)


def test_desired_state_is_there_again_for_the_next_manager(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        assert journal.desired() is None
        journal.save(Desired())
        journal.save(DESIRED)
        ahead = journal.path.with_name(f"{journal.path.name}-wal")
        assert ahead.stat().st_size > 0  # written ahead: nobody who is killed tears the rest
    with Journal(tmp_path) as journal:
        assert journal.desired() == DESIRED


def test_every_manager_has_a_higher_epoch(tmp_path: Path) -> None:
    epochs: list[int] = []
    for _ in range(3):
        with Journal(tmp_path) as journal:
            epochs.append(journal.raise_epoch())
    assert epochs == [1, 2, 3]


def test_an_epoch_is_above_those_of_other_versions(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        assert journal.raise_epoch(7) == 8
        assert journal.raise_epoch(3) == 9


def test_a_rollout_is_there_again_for_the_next_manager(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        assert journal.rollout() == b""
        journal.save_rollout(b"half")
    with Journal(tmp_path) as journal:
        assert journal.rollout() == b"half"


def test_what_a_newer_manager_has_left_elsewhere_counts(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.raise_epoch(4)
        journal.save_rollout(b"older")
        journal.inherit(DESIRED, 5, b"as new")
        assert journal.rollout() == b"older"
        journal.inherit(DESIRED, 6, b"newer")
        assert journal.rollout() == b"newer"
        assert journal.desired() == DESIRED
        assert journal.raise_epoch() == 7


def test_events_come_back_as_they_were_by_epoch(tmp_path: Path) -> None:
    events: list[tuple[float, Event]] = [
        (0.5, Began()),
        (1.25, HostSaid("here", 1, ReplicaExited("front-1", 1, signal=9, lines=("x",)))),
        (2.0, TimerFired("replica:front-1")),
        (3.0, Broke(Fault("full"))),
    ]
    with Journal(tmp_path) as journal:
        journal.append(1, events[:2])
        journal.append(1, events[2:])
        journal.append(2, [(9.0, ScaleRequested("front", 3))])
        assert journal.events(1) == events
        assert journal.events(2) == [(9.0, ScaleRequested("front", 3))]


def test_the_history_and_the_log_are_bounded(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(
            1,
            [(float(n), TimerFired(str(n))) for n in range(KEPT + 5)],
            [HistoryEvent(float(n), "kind", str(n)) for n in range(KEPT + 7)],
        )
        assert len(journal.events(1)) == KEPT
        assert len(journal.history()) == KEPT
        assert journal.history()[-1].text == str(KEPT + 6)


def test_there_is_one_manager_at_a_time(tmp_path: Path) -> None:
    with (
        Journal(tmp_path),
        pytest.raises(WeaverError, match="another manager is in charge"),
    ):
        Journal(tmp_path)
    Journal(tmp_path).close()


def test_the_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Journal(tmp_path) as journal:
            journal.save(DESIRED)
            modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_a_file_that_is_no_database_is_reported_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(WeaverError, match=r"is damaged(.|\n)*journal.sqlite3(.|\n)*move it away"):
        Journal(tmp_path)
    assert path.read_bytes() == b"not a database" * 1000
    path.unlink()
    Journal(tmp_path).close()  # the lock was released


def test_a_file_that_was_cut_short_is_reported(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(1, [(0.0, TimerFired("x" * 100)) for _ in range(1000)])
    path = tmp_path / "journal.sqlite3"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(WeaverError, match="is damaged"):
        Journal(tmp_path)


def test_desired_state_that_makes_no_sense_is_reported(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal._database.execute("INSERT INTO single VALUES ('desired', '{\"slots\": 3}')")
        with pytest.raises(WeaverError, match="is damaged"):
            journal.desired()


def test_a_directory_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WeaverError, match=r"state directory(.|\n)*XDG_STATE_HOME"):
        Journal(tmp_path / "gone")


def test_a_directory_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    opening = "import sys, pathlib; from weaver.deployers.journal import Journal as J; "
    opening += "J(pathlib.Path(sys.argv[1]))"
    try:
        command = [*ORDINARY, sys.executable, "-c", opening, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        tmp_path.chmod(0o700)
    assert re.search(r"WeaverError: .* cannot be written(.|\n)*Permission", done.stderr)


def test_a_full_disk_is_reported_and_what_was_saved_stays(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.save(Desired({"front": 1}))
        (pages,) = journal._database.execute("PRAGMA page_count").fetchone()
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(WeaverError, match=r"cannot be written(.|\n)*full(.|\n)*free space"):
            journal.append(1, [(0.0, TimerFired("x" * 100_000))])
        assert journal.desired() == Desired({"front": 1})
