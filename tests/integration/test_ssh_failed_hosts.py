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
from weaver.cli.failed_hosts import failed_of
from weaver.cli.ssh_deploy import Options, deploy
from weaver.deployers.manager_process import Task
from weaver.deployers.registry import Record
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
    """Stands for the manager's process: what it was started with."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def start(self, command: list[str], task: Task) -> Record:
        del command
        self.tasks.append(task)
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
        config='[app]\nentry = "shop:Web"\n',
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
