"""Which versions stay on disk, and that they are there whole."""

from pathlib import Path

import pytest

from weaver.deployers import kept_versions, registry
from weaver.deployers.kept_versions import superfluous
from weaver.deployers.registry import Record
from weaver.errors import WeaverError


def record(version: str, started: float, *, good: bool = True, ended: bool = True) -> Record:
    return Record(
        app="shop",
        deployment=f"{version}-{started:.0f}",
        version=version,
        pid=1,
        socket="",
        started=started,
        ended=started + 1 if ended else 0.0,
        good=started if good else 0.0,
    )


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def pex(tmp_path: Path) -> Path:
    path = tmp_path / "app.pex"
    path.write_bytes(b"a PEX")
    return path


def test_the_newest_past_versions_stay_and_the_running_one_does_not_count() -> None:
    records = [record("abcd"[i], i, ended=i < 3) for i in range(4)]
    assert superfluous(records, "abcd", 2) == ("a",)
    assert superfluous(records, "abcd", 3) == ()


def test_a_version_counts_from_when_it_was_deployed_last() -> None:
    records = [record("a", 1), record("b", 2), record("a", 3), record("c", 4, ended=False)]
    assert superfluous(records, "abc", 1) == ("b",)


def test_bad_ones_do_not_displace_good_ones() -> None:
    bad = [record(name, 3 + i, good=False) for i, name in enumerate("cde")]
    records = [record("a", 1), record("b", 2), *bad, record("f", 9, ended=False)]
    assert superfluous(records, "abcdef", 1) == ("a", "c", "d")
    assert superfluous(records, "abcdef", 2) == ("c",)


def test_what_no_record_knows_may_go() -> None:
    assert superfluous([record("a", 1, ended=False)], "ax", 3) == ("x",)


def test_a_kept_version_outlives_the_build_it_came_from(pex: Path) -> None:
    path = kept_versions.keep("shop", pex, "abc")
    assert kept_versions.keep("shop", pex, "abc") == path
    pex.unlink()
    assert kept_versions.kept("shop") == {"abc": path}
    assert path.read_bytes() == b"a PEX"


def test_it_is_copied_where_it_cannot_be_linked(pex: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_paths: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr("os.link", no_link)
    path = kept_versions.keep("shop", pex, "abc")
    assert path.read_bytes() == b"a PEX"
    assert [each.name for each in path.parent.iterdir()] == ["abc.pex"]


def test_one_that_cannot_be_read_is_refused_with_its_build(tmp_path: Path) -> None:
    with pytest.raises(WeaverError, match="version abc cannot be kept"):
        kept_versions.keep("shop", tmp_path / "none.pex", "abc")


def test_pruning_removes_the_files(pex: Path) -> None:
    for index, name in enumerate("abc"):
        kept_versions.keep("shop", pex, name)
        registry.write(record(name, index, ended=name != "c"))
    assert kept_versions.prune("shop", 1) == ("a",)
    assert list(kept_versions.kept("shop")) == ["b", "c"]
