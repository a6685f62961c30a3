"""What a deploy says of the version that runs before anything is changed."""

import json
from pathlib import Path

import pytest
from kept_shop import deployed, manifest_of, pex_in

from weaver.cli.comparing import compare, judge
from weaver.cli.deploy_plan import plain_plan, plan_lines
from weaver.config.schema import RolloutTable
from weaver.config.units import Duration
from weaver.errors import UsageError
from weaver.packaging.build import Built
from weaver.packaging.manifest import Manifest, build_id

HTTP = '[listeners.http]\naddress = "127.0.0.1:8080"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def built(folder: Path, manifest: Manifest) -> Built:
    path = pex_in(folder, manifest)
    return Built(path, build_id(path), manifest, fresh=True)


def test_a_first_version_is_compared_with_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = built(folder, manifest_of())
    found = compare("", new)
    judge(found, new, force=False)
    assert capsys.readouterr().err == ""
    (line,) = plan_lines(found, new, RolloutTable())
    assert "the first one" in line
    assert plain_plan(found, new, RolloutTable())["running"] is None


def test_what_users_would_notice_is_refused_unless_it_is_forced(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = deployed(folder, manifest_of(config=HTTP))
    new = built(folder, manifest_of(listeners=()))
    found = compare(old.version, new)
    with pytest.raises(UsageError, match="without users noticing"):
        judge(found, new, force=False)
    assert 'error: the new version has no listener "http"' in capsys.readouterr().err
    judge(found, new, force=True)
    assert 'warning: the new version has no listener "http"' in capsys.readouterr().err


def test_what_somebody_has_to_judge_is_only_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = deployed(folder, manifest_of(config="[components.Cart]\nsize = 1\n"))
    new = built(folder, manifest_of())
    judge(compare(old.version, new), new, force=False)
    assert "warning: Cart.size is no longer set" in capsys.readouterr().err


def test_a_version_that_is_not_kept_is_told_and_not_compared(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = deployed(folder, manifest_of(config=HTTP), keep=False)
    new = built(folder, manifest_of(listeners=()))
    found = compare(old.version, new)
    judge(found, new, force=False)
    assert "is not on this machine" in capsys.readouterr().err
    assert not any("differ" in line for line in plan_lines(found, new, RolloutTable()))


def test_the_plan_tells_differences_steps_hooks_and_what_is_refused(folder: Path) -> None:
    old = deployed(folder, manifest_of(config=HTTP))
    new = built(folder, manifest_of("(user: int) -> int", listeners=()))
    rollout = RolloutTable(before="migrate --all", after="announce", keep_warm=Duration(0))
    lines = list(plan_lines(compare(old.version, new), new, rollout))
    assert lines[0].endswith(f"after {old.version[:12]}")
    assert lines[1].startswith("1 method and 1 listener differ: weaver diff ")
    assert lines[2:] == [
        'refuse: the new version has no listener "http"',
        "before: migrate --all",
        "steps: 5 %, 25 %, 50 %, 100 %, each for 30 s",
        f"taken back at 1 % more errors, or a p99 of 2 times that of {old.version[:12]}",
        "after: announce",
        f"{old.version[:12]} is then stopped",
    ]
    plain = json.loads(json.dumps(plain_plan(compare(old.version, new), new, rollout)))
    assert plain["rollout"]["steps"] == [0.05, 0.25, 0.5, 1.0]
    assert plain["conflicts"][0]["severity"] == "refuse"


def test_a_plan_for_what_runs_already_is_to_do_nothing(folder: Path) -> None:
    old = deployed(folder, manifest_of())
    new = built(folder, manifest_of())
    assert new.build_id == old.version
    (line,) = plan_lines(compare(old.version, new), new, RolloutTable())
    assert line.endswith("is deployed already: nothing to do")
