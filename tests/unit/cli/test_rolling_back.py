"""Which version a rollback goes to, and which it never does."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_manager import FakeManager
from kept_shop import deployed, manifest_of

from weaver.cli.main import execute
from weaver.cli.rolling_back import chosen, good_ones
from weaver.control.message import Fault
from weaver.control.rollout import RolloutReport, VersionReport
from weaver.deployers import registry
from weaver.deployers.registry import Record
from weaver.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="weaver-") as name:
        yield Path(name)


def three(folder: Path, socket: str = "/nowhere") -> tuple[Record, Record, Record]:
    """A good one, a bad one, and the one that runs."""
    good = deployed(
        folder, manifest_of("(a: int) -> int"), started=1, ended=True, result="replaced"
    )
    bad = deployed(
        folder,
        manifest_of("(b: int) -> int"),
        started=2,
        ended=True,
        result="withdrawn",
        good=False,
    )
    bad = msgspec.structs.replace(bad, fault=Fault("it fails 50 % of its requests"))
    registry.write(bad)
    return good, bad, deployed(folder, manifest_of("(c: int) -> int"), started=3, socket=socket)


def test_without_a_name_it_is_the_last_good_one(folder: Path) -> None:
    good, _bad, now = three(folder)
    found = chosen(now, None)
    assert found.build_id == good.version
    assert found.manifest.app == "shop"
    assert [record.version for record in good_ones(now)] == [good.version]


def test_a_version_that_was_not_good_is_refused_with_the_good_ones(folder: Path) -> None:
    good, bad, now = three(folder)
    with pytest.raises(UsageError, match="was taken back") as caught:
        chosen(now, bad.version[:8])
    assert "it ended as withdrawn: it fails 50 % of its requests" in caught.value.why
    assert f"good versions: {good.version[:12]}" in caught.value.why


def test_a_good_one_that_is_not_kept_tells_its_revision(folder: Path) -> None:
    gone = deployed(folder, manifest_of(), started=1, ended=True, keep=False)
    now = deployed(folder, manifest_of("(c: int) -> int"), started=2)
    with pytest.raises(UsageError, match="not kept any more") as caught:
        chosen(now, gone.version)
    assert "revision abcdef012345" in caught.value.fix
    with pytest.raises(UsageError, match="no version of shop to go back to"):
        chosen(now, None)


def test_the_one_that_runs_is_nothing_to_go_back_to(folder: Path) -> None:
    *_others, now = three(folder)
    with pytest.raises(UsageError, match="runs already"):
        chosen(now, now.version)


def report(phase: str, now: Record, old: Record, weight: float) -> RolloutReport:
    versions = (
        VersionReport(now.deployment, now.version, weight=1 - weight),
        VersionReport(old.deployment, old.version, weight=weight),
    )
    return RolloutReport("shop", phase, versions=versions)


def test_the_one_that_is_warm_has_only_to_be_told(
    folder: Path, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sockets / "manager.sock"
    good, _bad, now = three(folder, str(path))
    with FakeManager(path, [report("warm", now, good, 0.0)]) as manager:
        manager.after = [report("removing", now, good, 1.0)]
        assert execute(["rollback"]) == 0
        assert manager.steered == ["rollback"]
    shown = capsys.readouterr().out
    assert f"shop {good.version[:12]} serves everybody" in shown


def test_where_no_other_one_runs_the_refusal_has_all_that_is_known(
    folder: Path, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sockets / "manager.sock"
    _good, bad, now = three(folder, str(path))
    done = RolloutReport("shop", "done", versions=(VersionReport("d3", now.version, weight=1.0),))
    with FakeManager(path, [done]) as manager:
        assert execute(["rollback", bad.version[:12]]) == 2
        assert manager.steered == []
    assert "cannot go back" in capsys.readouterr().err


def test_an_application_can_be_named_before_the_version_or_alone(
    folder: Path, sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sockets / "manager.sock"
    good, bad, now = three(folder, str(path))
    with FakeManager(path, [report("warm", now, good, 0.0)]) as manager:
        manager.after = [report("removing", now, good, 1.0)]
        assert execute(["rollback", "shop"]) == 0
        manager.begin_anew(report("warm", now, good, 0.0))
        assert execute(["rollback", "shop", good.version[:8]]) == 0
        assert manager.steered == ["rollback", "rollback"]
        capsys.readouterr()
        assert execute(["rollback", "shpo", bad.version]) == 2
    assert 'did you mean "shop"?' in capsys.readouterr().err
    assert execute(["rollback", "a", "b", "c"]) == 2
