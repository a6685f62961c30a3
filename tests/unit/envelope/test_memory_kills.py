from pathlib import Path

import pytest

from weaver.envelope.memory import MemoryKills, count_kills, find_counter
from weaver.envelope.process import Exit


@pytest.mark.parametrize(
    ("membership", "file"),
    [
        ("0::/app.slice/x\n", "app.slice/x/memory.events"),
        ("9:name=systemd:/\n4:memory:/box\n0::/\n", "memory/box/memory.oom_control"),
    ],
)
def test_the_counter_of_either_version_of_control_groups_is_found(
    tmp_path: Path, membership: str, file: str
) -> None:
    assert find_counter(membership, tmp_path) is None
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert find_counter(membership, tmp_path) == tmp_path / file


def test_the_count_is_read() -> None:
    assert count_kills("low 0\noom 3\noom_kill 2\n") == 2
    assert count_kills("oom_kill_disable 0\nunder_oom 0\n") == 0


def test_a_kill_that_was_counted_is_explained(tmp_path: Path) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 2\n")
    kills = MemoryKills(counter)
    assert kills.explain(Exit(0, 9)).startswith("not by its envelope")
    counter.write_text("oom_kill 3\n")
    assert kills.explain(Exit(1)) == ""
    assert kills.explain(Exit(0, 9)).startswith("out of memory")
