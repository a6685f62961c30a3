"""What may happen to a deployment on three hosts: it serves on, and its status is true afterwards.

All tests share one deployment; each leaves it as the next one needs it. The hosts are network
namespaces where this user may make them, else addresses of loopback.
"""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from multi_run_shop import multi_run, project_for_session, until
from ssh_deployed import Deployed
from ssh_hosts import Kind, Operator, running_hosts
from ssh_network import Namespaces, namespaces
from ssh_traffic import Traffic

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),
]
SETTINGS = {
    "WEAVER__GROUPS__FRONT__REPLICAS": "2",
    "WEAVER__LISTENERS__HTTP__ADDRESS": "0.0.0.0:0",
    "WEAVER__SSH__HOST_GRACE": "4s",
    "WEAVER__APP__TIMEOUT": "12s",
}


@pytest.fixture(scope="module")
def network() -> Iterator[Namespaces | None]:
    with namespaces(3) as network:
        yield network


@pytest.fixture(scope="module")
def hosts(network: Namespaces | None) -> Iterator[Operator]:
    with running_hosts(Kind(), Kind(), Kind(), network=network) as operator:
        yield operator


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, hosts: Operator) -> Iterator[Deployed]:
    project = project_for_session(tmp_path_factory)
    with multi_run(project, **SETTINGS) as run:
        shop = Deployed(project, run, hosts)
        done = shop.deploy()
        assert done.returncode == 0, done.stderr
        yield shop
        shop.kill_managers()


@pytest.fixture
def shop(deployed: Deployed) -> Iterator[Deployed]:
    """The deployment, in order before the test and after it."""
    until(deployed.is_in_order, 60)
    with Traffic(deployed.listeners()) as traffic:
        traffic.wait_for(20)
    deployed.since = time.time()
    yield deployed
    until(deployed.is_in_order, 60)
    with Traffic(deployed.listeners()) as traffic:
        traffic.wait_for(20)
    assert traffic.failures == []


def test_cut_connections(shop: Deployed, hosts: Operator) -> None:
    before = shop.running()
    with Traffic(shop.listeners()) as traffic:
        for host in hosts.hosts:
            host.cut()
        until(lambda: len(shop.events("envelope lost")) >= 3)
        until(shop.is_in_order, 60)
        traffic.wait_for(20)
    assert traffic.failures == []
    assert shop.running() == before


def test_a_killed_manager(shop: Deployed) -> None:
    before = shop.running()
    with Traffic(shop.listeners()) as traffic:
        shop.kill_managers()
        refused = shop.command("status", "till")
        assert "weaver attach" in refused.stderr
        traffic.wait_for(20)
        attached = shop.attach()
        assert attached.returncode == 0, attached.stderr
        until(shop.is_in_order, 60)
        traffic.wait_for(20)
    assert traffic.failures == []
    assert shop.running() == before


def test_a_killed_envelope(shop: Deployed, hosts: Operator) -> None:
    """Its replicas end with it; it is started again, and they are."""
    before = shop.running()
    fronts = set(shop.hosts_of("front"))
    victim = next(host for host in shop.hosts_of("names") if host not in fronts)
    with Traffic(shop.listeners()) as traffic:
        (envelope,) = hosts[victim].named("weaver-envelope")
        os.kill(envelope, signal.SIGKILL)
        until(lambda: bool(shop.events("envelope lost")))
        until(shop.is_in_order, 60)
        traffic.wait_for(20)
    assert traffic.failures == []
    after = shop.running()
    assert places(after) == places(before)
    assert after - before == {replica for replica in after if replica[1] == victim}
    assert {pid for _, host, pid in after if host == victim} <= set(hosts[victim].processes())


def test_a_frozen_host(shop: Deployed, hosts: Operator) -> None:
    """Others take over from it; calls that it had taken end by their deadlines."""
    before = shop.running()
    victim, other = shop.hosts_of("front")
    served = [a for a in shop.listeners() if a.startswith(hosts[other].address + ":")]
    with Traffic(served) as traffic:
        hosts[victim].freeze()
        try:
            until(lambda: bool(shop.events("host lost")), 60)
            until(lambda: shop.is_in_order(without=victim), 60)
            moved = time.time()
            assert shop.states_on(victim) == {"lost"}
            assert not [a for a in shop.listeners() if a.startswith(hosts[victim].address + ":")]
            traffic.wait_for(20)
        finally:
            hosts[victim].thaw()
        until(lambda: bool(shop.events("host back")), 60)
        until(shop.is_in_order, 60)
        until(lambda: places(shop.running()) == places(before), 60)
        traffic.wait_for(20)
    assert [when for when in traffic.failed if when > moved] == []
    running = shop.running()
    for replica, host, pid in running:  # and none of them twice
        assert [pid] == [found for each in hosts.hosts for found in each.named(replica)], host
    assert not [pid for each in hosts.hosts for pid in each.named("names-3")]


@pytest.fixture(scope="module")
def killed_sshd(deployed: Deployed, hosts: Operator) -> Traffic:
    """A fixture, because the new sshd is to be there for the whole module."""
    until(deployed.is_in_order, 60)
    with Traffic(deployed.listeners()) as traffic:
        for host in hosts.hosts:
            host.stop()
        until(lambda: len(deployed.events("envelope lost")) >= 3)
        traffic.wait_for(20)
        for host in hosts.hosts:
            host.start()
        until(deployed.is_in_order, 60)
        traffic.wait_for(20)
    return traffic


def test_a_killed_sshd(killed_sshd: Traffic, shop: Deployed) -> None:
    assert killed_sshd.failures == []
    del shop


def test_a_link_that_is_down_for_a_moment(
    shop: Deployed, network: Namespaces | None, hosts: Operator
) -> None:
    if network is None:
        pytest.skip("needs the right to make network namespaces")
    before = shop.running()
    victim, other = shop.hosts_of("front")
    served = [a for a in shop.listeners() if a.startswith(hosts[other].address + ":")]
    with Traffic(served) as traffic:
        with network.without_link(number_of(hosts, victim)):
            traffic.wait_for(5)
        traffic.wait_for(20)
    assert traffic.failures == []
    assert shop.running() == before
    assert shop.events("host lost") == []


def test_a_link_that_is_down_for_long(
    shop: Deployed, network: Namespaces | None, hosts: Operator
) -> None:
    if network is None:
        pytest.skip("needs the right to make network namespaces")
    before = shop.running()
    victim, other = shop.hosts_of("front")
    served = [a for a in shop.listeners() if a.startswith(hosts[other].address + ":")]
    with Traffic(served) as traffic:
        with network.without_link(number_of(hosts, victim)):
            until(lambda: bool(shop.events("host lost")), 60)
            until(lambda: shop.is_in_order(without=victim), 60)
            traffic.wait_for(20)
        until(lambda: bool(shop.events("host back")), 60)
        until(shop.is_in_order, 60)
        until(lambda: places(shop.running()) == places(before), 60)
        traffic.wait_for(20)
    # What was on its way to the host has been tried elsewhere once the connection broke.
    assert traffic.failures == []


def test_stop_leaves_nothing(deployed: Deployed, hosts: Operator) -> None:
    until(deployed.is_in_order, 60)
    stopped = deployed.command("stop", "till")
    assert stopped.returncode == 0, stopped.stderr
    for host in hosts.hosts:
        assert host.processes() == {}
        assert list((host.home / ".weaver" / "run").rglob("*")) == []
        assert list(host.runtime.rglob("*")) == []
    deployed.no_manager_is_left()


def places(replicas: set[tuple[str, str, int]]) -> set[tuple[str, str]]:
    return {(replica, host) for replica, host, _ in replicas}


def number_of(hosts: Operator, name: str) -> int:
    return [host.name for host in hosts.hosts].index(name) + 1
