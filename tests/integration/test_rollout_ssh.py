"""A rollout over hosts that are reached over SSH, under load at each of them."""

import contextlib
import functools
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from rollout_duo import Duo, Load, duo_in, until
from ssh_hosts import SEASONED, Kind, Operator, running_hosts
from ssh_network import Namespaces, namespaces

from weaver.control.operator import GetStatus, Status
from weaver.deployers.manager_client import ask
from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(400),  # hosts install two versions, on the cores of one
]


@contextlib.contextmanager
def duo_on(hosts: Operator, caches: Path) -> Generator[Duo]:
    """The application, to be deployed to these hosts."""
    environ = {name: value for name, value in hosts.environ.items() if name != "PATH"}
    with duo_in(caches, environ) as found:
        found.options = ("--ssh", str(hosts.hosts_txt))
        yield found


class Fleet:
    """Four hosts to deploy to, of which some have no part yet; each is reached from outside."""

    def __init__(self, duo: Duo, hosts: Operator, network: Namespaces | None) -> None:
        self.duo, self.hosts, self.network = duo, hosts, network
        self._ssh = duo.options
        duo.listen = "0.0.0.0:0"  # which tells the hosts apart

    def are(self, *names: str) -> None:
        """Deploy to these from now on."""
        self.duo.options = (*self._ssh, "--limit", ",".join(names))

    def load(self, name: str) -> Load:
        """Clients on this very host, whose network is none of theirs."""
        (address,) = (a for a in listeners(self.duo) if a.startswith(self.hosts[name].address))
        number = self.hosts.hosts.index(self.hosts[name]) + 1
        enter = None if self.network is None else functools.partial(self.network.enter, number)
        return Load(address, clients=2, pause=0.02, enter=enter)

    @contextlib.contextmanager
    def without(self, name: str) -> Generator[None]:
        """Meanwhile, a host is cut off; by its sshd alone where there is no link to cut."""
        if self.network is not None:
            number = self.hosts.hosts.index(self.hosts[name]) + 1
            with self.network.without_link(number):
                yield
            return
        self.hosts[name].stop()
        yield
        self.hosts[name].start()


@pytest.fixture
def fleet(caches: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    plain = (SEASONED,) * 4
    with (
        namespaces(len(plain)) as network,
        running_hosts(*plain, network=network) as hosts,
        duo_on(hosts, caches) as duo,
    ):
        yield Fleet(duo, hosts, network)


def listeners(duo: Duo) -> list[str]:
    """Where the newest version is served."""
    for answer in ask(duo.running()[0], GetStatus()):
        if isinstance(answer, Status):
            return [listener.address for listener in answer.report.listeners]
    return []


def test_all_hosts_follow_a_rollout_also_those_that_join_and_those_that_were_cut_off(
    fleet: Fleet,
) -> None:
    duo = fleet.duo
    shifts: dict[str, Any] = {
        "steps": ["20%", "60%", "100%"],
        "pause": "8s",
        "keep_warm": "1s",
        "abort_on.p99_factor": 100.0,  # all hosts are on one machine
    }
    fleet.are("alpha", "beta")
    done = duo.write("one", replicas=2, stock=2, **shifts).deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    fleet.are("alpha", "beta", "gamma")
    with fleet.load("alpha") as alpha, fleet.load("beta") as beta:
        duo.write("two", replicas=3, stock=3, **shifts)
        with duo.deploying() as deploy:
            duo.reaches("shifting", seconds=200)
            duo.steer("pause")
            _join(fleet)
            _are_cut_off(fleet, alpha, beta, deploy)
        until(lambda: len(duo.running()) == 1)
        one = beta.answers["one"]
        for load in (alpha, beta):
            load.sees("two")
        assert beta.answers["one"] == one
    for load in (alpha, beta):
        assert load.failures == []
        assert load.mixed == []
    for name in ("gamma", "delta"):
        with fleet.load(name) as load:
            load.gets("two", 1, 1)
    for host in fleet.hosts.hosts:
        assert len(host.named("weaver-envelope")) == 1
    stopped = duo.command("stop", "duo")
    assert stopped.returncode == 0, stopped.stderr
    for host in fleet.hosts.hosts:
        assert host.processes() == {}


def _join(fleet: Fleet) -> None:
    """One has come with the new version, and one comes now: the old one is on none of both."""
    duo = fleet.duo
    fleet.are("alpha", "beta", "gamma", "delta")
    joined = duo.command("deploy", *duo.options)
    assert "delta has joined duo" in joined.stdout, joined.stdout + joined.stderr
    assert "its rollout is under way" in joined.stdout
    scaled = duo.command("scale", "duo", "front=4", "stock=4")
    assert scaled.returncode == 0, scaled.stderr
    until(lambda: len(listeners(duo)) == 4)
    with fleet.load("gamma") as gamma, fleet.load("delta") as delta:
        for load in (gamma, delta):
            load.gets("two", 0.15, 0.25)
    for load in (gamma, delta):
        assert load.failures == []
        assert load.mixed == []


def _are_cut_off(fleet: Fleet, alpha: Load, beta: Load, deploy: "subprocess.Popen[str]") -> None:
    """One of the hosts keeps the last shares meanwhile, and takes the present ones then."""
    duo = fleet.duo
    with fleet.without("beta"):
        duo.steer("resume")
        until(lambda: duo.rollout().step == 1)
        duo.steer("pause")
        alpha.gets("two", 0.55, 0.65)
        beta.gets("two", 0.15, 0.25)
    beta.gets("two", 0.55, 0.65)
    with fleet.without("beta"):
        duo.steer("promote")
        assert deploy.wait(100) == 0
        alpha.gets("two", 1, 1)
        beta.gets("two", 0.55, 0.65)
        assert len(duo.running()) == 2, "the old version runs on for users of that host"


def test_a_hook_runs_once_and_a_release_is_good_once_it_serves_on_hosts_that_allow_little(
    caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    little = Kind(seasoned=True, sshd=("MaxSessions 2", "AllowStreamLocalForwarding no"))
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
    with running_hosts(SEASONED) as hosts, duo_on(hosts, caches) as duo:
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
