"""The audit logs of hosts, and how many hosts are worked on at a time."""

import threading
from pathlib import Path

import pytest
from local_hosts import LocalHosts, Watched
from ssh_fakes import PYTHON, write_pex

from weaver.cli.ssh_history import Audits
from weaver.deployers.deployer import Command
from weaver.deployers.ssh import deploy_lock, deployer
from weaver.deployers.ssh.deployer import SshDeployer
from weaver.deployers.ssh.host_call import RemotePython
from weaver.deployers.ssh.host_connections import HostConnections
from weaver.deployers.ssh.preparation import Preparation
from weaver.deployers.ssh.site import Site
from weaver.deployers.ssh.upload import Parcel
from weaver.errors import Unreachable


@pytest.fixture
def hosts(tmp_path: Path) -> LocalHosts:
    return LocalHosts(tmp_path, "a", "b", "c")


def test_every_host_tells_what_was_done_there_and_one_that_is_down_hides_nothing(
    hosts: LocalHosts,
) -> None:
    with Preparation("shop", hosts.listed, hosts.client, Watched()) as work:
        work.examine_briefly()
        work.finish("b" * 64, "failed: no", good=False)
        work.note("shop", "attach", ["a", "nowhere"], build_id="b" * 64, result="taken over")
    hosts.down = {"b"}
    with Preparation("shop", hosts.listed, hosts.client, Watched()) as work:
        work.examine_briefly()
        found = Audits(work.audits("shop", 100), dict(work.faults))

    assert [(e.what, e.result) for e in found.entries["a"]] == [
        ("deploy", "failed: no"),
        ("attach", "taken over"),
    ]
    assert [e.what for e in found.entries["c"]] == ["deploy"]
    assert found.plain()["faults"] == {"b": "b does not answer"}
    head, *lines = found.lines()
    assert head.split() == ["TIME", "HOST", "WHO", "WHAT", "BUILD", "RESULT"]
    assert [line.split()[2] for line in lines[:2]] in (["a", "c"], ["c", "a"])
    assert lines[2].split()[2:] == [
        "a", found.entries["a"][0].who, "attach", "b" * 12, "taken", "over"
    ]  # fmt: skip
    assert Audits({"a": ()}, {}).lines() == ["nothing was done to it on these hosts"]


def test_pruning_is_in_the_audit_log_unless_it_only_tells(
    hosts: LocalHosts, tmp_path: Path
) -> None:
    builds = [write_pex(tmp_path / f"{n}.pex", part00=f"v{n}") for n in range(3)]
    with Preparation("shop", hosts.listed[:1], hosts.client, Watched()) as work:
        work.examine_briefly()
        for path in builds:
            parcel = Parcel("shop", path)
            work.upload(parcel)
            work.finish(parcel.build_id, "live", good=True)
        work.prune("shop", keep=1, only_tell=True)
        work.prune("shop", keep=1, only_tell=False)
        entries = work.audits("shop", 100)["a"]
    assert [e.what for e in entries] == ["deploy"] * 3 + ["prune"]
    assert entries[-1].result == "removed 1"


def test_no_more_hosts_than_a_batch_are_worked_on_at_a_time(
    hosts: LocalHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = threading.Lock()
    now: set[str] = set()
    most = 0
    met = threading.Barrier(2)

    def watched(python: RemotePython, app: str, most_entries: int) -> tuple[()]:
        nonlocal most
        with lock:
            now.add(python.remote.name)
            most = max(most, len(now))
        if python.remote.name in {"a", "b"}:
            met.wait(30)  # two at a time are needed for this to pass
        with lock:
            now.remove(python.remote.name)
        return ()

    monkeypatch.setattr(deploy_lock, "audit", watched)
    with Preparation("shop", hosts.listed, hosts.client, Watched(), at_once=2) as work:
        work.examine_briefly()
        assert set(work.audits("shop", 1)) == {"a", "b", "c"}
    assert most == 2


def test_hosts_that_are_down_are_not_asked(hosts: LocalHosts) -> None:
    hosts.down = {"a", "b", "c"}
    watched = Watched()
    with Preparation("shop", hosts.listed, hosts.client, watched) as work:
        work.examine_briefly()
        assert work.audits("shop", 1) == {}
    assert {steps[-1] for steps in watched.steps.values()} == {
        f"failed: {name} does not answer" for name in "abc"
    }


async def test_what_a_manager_does_is_kept_without_the_arguments_of_commands(
    hosts: LocalHosts,
) -> None:
    home = hosts.connections["a"].home
    release = home / ".weaver" / "releases" / "r"
    (release / "venv" / "bin").mkdir(parents=True)
    python = release / "venv" / "bin" / "python"
    python.symlink_to(PYTHON)
    sites = {"a": Site(host=hosts.listed[0], python=str(python))}
    connections = HostConnections(hosts.connect)
    shop = SshDeployer(sites, "d", connections, app="shop", version="v")
    try:
        done = await shop.execute("a", Command(("sh", "-c", "exit 3", "secret"), {}, 10.0))
        await shop.note("stop", "stopped")
    finally:
        await shop.aclose()
    assert done.exit_code == 3
    found = deploy_lock.audit(RemotePython(hosts.connections["a"], PYTHON), "shop")
    assert [(e.what, e.build_id, e.result) for e in found] == [
        ("exec", "v", "sh: exit code 3"),
        ("stop", "v", "stopped"),
    ]


async def test_hosts_that_cannot_be_told_which_release_is_good_are_told_again(
    hosts: LocalHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def make_current(python: RemotePython, _app: str, _build_id: str, *, good: bool) -> None:
        asked.append(python.remote.name)
        if asked.count(python.remote.name) < {"a": 1, "b": 3, "c": 2}[python.remote.name]:
            raise Unreachable("the connection was lost")
        assert good

    monkeypatch.setattr(deployer, "make_current", make_current)
    monkeypatch.setattr(deployer, "AGAIN", (0.0, 0.0, 0.0, 600.0))
    sites = {host.name: Site(host=host, python=PYTHON) for host in hosts.listed}
    connections = HostConnections(hosts.connect)
    shop = SshDeployer(sites, "d", connections, app="shop", version="v")
    try:
        for host in hosts.listed:
            await connections.reach(host)
        await shop.note_good()
    finally:
        await shop.aclose()
    assert sorted(asked) == ["a", "b", "b", "b", "c", "c"]
