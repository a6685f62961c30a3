"""A rollout over three hosts that are reached over SSH, under load at each of them."""

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from rollout_duo import Duo, Load, duo_in, until
from ssh_hosts import Kind, Operator, running_hosts

from weaver.control.operator import GetStatus, Status
from weaver.deployers.manager_client import ask
from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(280),  # three hosts install two versions, on the cores of one
]


@pytest.fixture
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    found = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packaging"
    found.mkdir(exist_ok=True)
    return found


@contextlib.contextmanager
def duo_on(hosts: Operator, caches: Path) -> Generator[Duo]:
    """The application, to be deployed to these hosts."""
    environ = {name: value for name, value in hosts.environ.items() if name != "PATH"}
    with duo_in(caches, environ) as found:
        found.options = ("--ssh", str(hosts.hosts_txt))
        yield found


@pytest.fixture
def duo(caches: Path, ssh_hosts: Operator) -> Iterator[Duo]:
    with duo_on(ssh_hosts, caches) as found:
        yield found


def listeners(duo: Duo) -> list[str]:
    """Where the newest version is served."""
    for answer in ask(duo.running()[0], GetStatus()):
        if isinstance(answer, Status):
            return [listener.address for listener in answer.report.listeners]
    return []


def test_a_rollout_over_three_hosts_loses_no_request_though_one_is_out_of_reach_for_a_while(
    duo: Duo, ssh_hosts: Operator
) -> None:
    wanted: dict[str, Any] = {
        "replicas": 3,
        "steps": ["50%", "100%"],
        "pause": "1s",
        "keep_warm": "1s",
    }
    done = duo.write("one", **wanted).deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    addresses = listeners(duo)
    assert len(addresses) == 3
    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(Load(address, clients=2, pause=0.02)) for address in addresses]
        for load in loads:
            load.sees("one")
        duo.write("two", **wanted)
        with duo.deploying() as deploy:
            duo.reaches("shifting")
            for load in loads:
                load.sees("two")
            ssh_hosts.hosts[1].stop()
            assert deploy.wait(100) == 0
            before = [load.answers["one"] for load in loads]
            until(lambda: [load.answers["one"] for load in loads] != before)
            (cut,) = (
                load for load, one in zip(loads, before, strict=True) if load.answers["one"] > one
            )
            cut.sees("two")  # at the share that was ordered last
            assert len(duo.running()) == 2
            ssh_hosts.hosts[1].start()
        until(lambda: len(duo.running()) == 1)
        assert listeners(duo) == addresses
        last = cut.answers["one"]
        for load in loads:
            load.sees("two")
        assert cut.answers["one"] == last
    for load in loads:
        assert load.failures == []
        assert load.mixed == []
    for host in ssh_hosts.hosts:
        assert len(host.named("weaver-envelope")) == 1
    stopped = duo.command("stop", "duo")
    assert stopped.returncode == 0, stopped.stderr
    for host in ssh_hosts.hosts:
        assert host.processes() == {}


def test_a_hook_runs_once_and_a_release_is_good_once_it_serves_on_hosts_that_allow_little(
    caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    little = Kind(sshd=("MaxSessions 2", "AllowStreamLocalForwarding no"))
    with running_hosts(little) as hosts, duo_on(hosts, caches) as duo:
        home = hosts["alpha"].home
        done = duo.write("one").deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        first = duo.running()[0].version
        duo.write("two", before="sh -c 'echo $HOME >> $HOME/hooks'", keep_warm="1h")
        done = duo.deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        assert (home / "hooks").read_text() == f"{home}\n"
        second = duo.running()[0].version
        assert first != second

        def current() -> str:
            return (home / ".weaver" / "apps" / "duo" / "current").readlink().name

        until(lambda: current() == second)
        assert (home / ".weaver" / "releases" / second / "good").exists()
        duo.steer("rollback")
        until(lambda: len(duo.running()) == 1)
        until(lambda: current() == first)
        assert duo.command("stop", "duo").returncode == 0


def test_another_machine_goes_on_with_a_rollout(
    caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with running_hosts(Kind()) as hosts, duo_on(hosts, caches) as duo:
        done = duo.write("one").deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        other = duo.elsewhere()
        try:
            _change_machines(duo, other)
        finally:
            other.clear()


def _change_machines(duo: Duo, other: Duo) -> None:
    with Load(duo.address) as load:
        load.sees("one")
        duo.write("two", pause="1h")
        with duo.deploying():
            duo.reaches("shifting")
            duo.kill_manager()
        attached = other.command("attach", "duo", *duo.options)
        assert attached.returncode == 0, attached.stderr
        assert len(other.running()) == 2
        load.sees("two")
        load.sees("one")
        other.steer("promote")
        until(lambda: len(other.running()) == 1)
        load.sees("two")
    assert load.failures == []
    assert load.mixed == []
    stopped = other.command("stop", "duo")
    assert stopped.returncode == 0, stopped.stderr
