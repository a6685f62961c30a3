"""A deploy that some hosts have no part in: what it says, remembers, and brings to them later."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from local_hosts import LocalHosts
from ssh_fakes import INSTALLER, noise, write_pex

from weaver.cli import ssh_deploy
from weaver.cli.deploy_plan import places_of
from weaver.cli.failed_hosts import failed_of
from weaver.cli.ssh_deploy import deploy
from weaver.cli.ssh_options import Options
from weaver.deployers.manager_process import Task
from weaver.deployers.registry import Record
from weaver.errors import ConfigError, WeaverError
from weaver.packaging import build as building
from weaver.packaging.build import Built
from weaver.packaging.manifest import Manifest, ManifestComponent
from weaver.packaging.suits import this_interpreter

Deploy = Callable[..., int]


def always(answer: object) -> Callable[..., object]:
    def act(*arguments: object, **options: object) -> object:
        del arguments, options
        return answer

    return act


class Started:
    """Stands for the manager's process: what it was started with.

    On hosts of `failing`, no envelope starts.
    """

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.failing: set[str] = set()

    def start(self, command: list[str], task: Task) -> Record:
        del command
        self.tasks.append(task)
        for host in task.sites:
            if host in self.failing:
                place = f"{host} (hosts.txt:2): /run/e.sock"
                raise WeaverError("the envelope could not be started", where=place, why="no room")
        return Record(app="shop", deployment="d", version="v", pid=0, socket="", started=0.0)


@pytest.fixture
def hosts() -> Iterator[LocalHosts]:
    # Not tmp_path: sockets have short paths.
    with tempfile.TemporaryDirectory(prefix="wh-", dir="/tmp") as folder:
        yield LocalHosts(Path(folder), "a", "b", "c")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    found = Started()
    monkeypatch.setattr(ssh_deploy, "start_beside", found.start)
    monkeypatch.setattr(ssh_deploy, "wait_live", always(0))
    return found


@pytest.fixture
def run(
    tmp_path: Path, hosts: LocalHosts, started: Started, monkeypatch: pytest.MonkeyPatch
) -> Deploy:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("weaver.deployers.ssh.client.Client", always(hosts))
    manifest = Manifest(
        weaver="0.1.0",
        app="shop",
        entry="shop:Web",
        components=(ManifestComponent("shop.Web", "Web"),),
        config='[app]\nentry = "shop:Web"\n[groups.web]\ncomponents = ["Web"]\nreplicas = 3\n',
        python=this_interpreter().minor,
    )
    content = [
        ("PEX-INFO", b'{"distributions": {}}'),
        ("__main__.py", INSTALLER.encode()),
        ("shop.py", noise("shop", 9000)),
        ("weaver_manifest.json", msgspec.json.encode(manifest)),
    ]
    path = write_pex(tmp_path / "shop.pex", content=content)
    built = Built(path, hashlib.sha256(path.read_bytes()).hexdigest(), manifest, fresh=True)
    monkeypatch.setattr(building, "build", always(built))

    def act(**options: object) -> int:
        return deploy(None, hosts.listed, Options(**options))  # type: ignore[arg-type]

    return act


def test_skipped_hosts_are_named_remembered_and_brought_the_release_later(
    run: Deploy, hosts: LocalHosts, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts.down = {"b"}
    assert run(skip_unreachable=True) == 0
    said = capsys.readouterr().err
    assert "not on b: " in said
    assert "--limit @failed" in said
    assert "have them join" in said
    assert list(started.tasks[0].sites) == ["a", "c"]
    assert failed_of("shop") == ("b",)

    assert run(only_failed=True) == 1  # it is still down
    assert failed_of("shop") == ("b",)

    capsys.readouterr()
    hosts.down = set()
    before = {name: hosts.connections[name].runs for name in "ac"}
    assert run(only_failed=True, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["hosts"], found["failed"]) == (["b"], {})
    assert len(started.tasks) == 1  # nothing was started
    assert {name: hosts.connections[name].runs for name in "ac"} == before
    (release,) = (hosts.connections["b"].home / ".weaver" / "releases").iterdir()
    assert (release / "venv").is_dir()
    assert failed_of("shop") == ()


def test_a_deploy_that_is_refused_remembers_what_spoke_against_it(
    run: Deploy, hosts: LocalHosts, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts.down = {"a", "c"}
    assert run() == 1
    assert failed_of("shop") == ("a", "c")
    assert started.tasks == []
    hosts.down = set()
    assert run(plan_only=True) == 0
    assert failed_of("shop") == ("a", "c")
    assert run(batch=1) == 0
    assert failed_of("shop") == ()
    assert "not on" not in capsys.readouterr().err


def placed(task: Task) -> dict[str, int]:
    """How many replicas each host gets."""
    return {host: len(own) for host, own in places_of(task.estate.spec).items()}


def test_what_hosts_that_may_fail_would_have_run_goes_to_the_others(
    run: Deploy, hosts: LocalHosts, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    started.failing = {"b"}
    assert run(max_fail=1) == 0
    assert placed(started.tasks[0]) == {"a": 1, "b": 1, "c": 1}
    assert placed(started.tasks[-1]) in ({"a": 2, "c": 1}, {"a": 1, "c": 2})
    said = capsys.readouterr().err
    assert "not on b: the envelope could not be started" in said
    assert "what would have run there runs on a, c" in said
    assert failed_of("shop") == ("b",)

    hosts.down = {"a"}
    with pytest.raises(WeaverError, match="could not be started"):
        run(max_fail=1)  # with that, two have failed
    assert run(max_fail=1, skip_unreachable=True) == 0  # which is none of those that may fail
    assert placed(started.tasks[-1]) == {"c": 3}


def test_hosts_that_may_fail_are_not_left_out_where_the_others_have_no_room(
    run: Deploy, hosts: LocalHosts, started: Started
) -> None:
    hosts.listed = [msgspec.structs.replace(host, slots=1) for host in hosts.listed]
    hosts.down = {"b"}
    with pytest.raises(ConfigError, match="room for 2"):
        run(max_fail=1)
    assert started.tasks == []
