"""A host whose network goes away: noticed in time, and reached again when it is back."""

import time
from collections.abc import Iterator

import pytest
from ssh_hosts import PATIENCE, Kind, Operator, eventually, running_hosts
from ssh_network import Namespaces, namespaces

from weaver.deployers.ssh import carriers
from weaver.deployers.ssh.client import Client
from weaver.deployers.ssh.inventory import Host
from weaver.errors import Unreachable


@pytest.fixture
def network() -> Iterator[Namespaces]:
    with namespaces(2) as network:
        if network is None:
            pytest.skip("needs root, iproute2 and the right to make network namespaces")
        yield network


@pytest.fixture
def operator(network: Namespaces) -> Iterator[Operator]:
    with running_hosts(Kind(), Kind(), network=network) as operator:
        yield operator


def test_hosts_reach_one_another_until_a_link_is_cut(
    network: Namespaces, operator: Operator
) -> None:
    alpha, beta = operator.hosts
    dial = f"exec 3<>/dev/tcp/{beta.address}/{beta.port} && head -c 4 <&3"
    with Client(environ=operator.environ).connect(alpha.listed) as connection:
        assert connection.run(dial, timeout=30).stdout == b"SSH-"
        network.set_link(2, "down")
        assert connection.run(f"timeout 1 bash -c '{dial}'", timeout=30).exit_code != 0
        network.set_link(2, "up")
        assert connection.run(dial, timeout=30).stdout == b"SSH-"


def test_a_host_without_network_is_given_up(
    network: Namespaces, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carriers, "UNACKNOWLEDGED", 1000)
    monkeypatch.setattr(carriers, "CONNECT", 1.0)
    host = operator.hosts[0].listed
    client = Client(environ=operator.environ)
    with client.connect(host) as connection:
        assert connection.run("echo on", timeout=30).stdout == b"on\n"
        network.set_link(1, "down")
        began = time.monotonic()
        with pytest.raises(Unreachable, match="alpha"):
            connection.run("echo", timeout=100)
        eventually(lambda: not connection.alive)
        assert time.monotonic() - began < PATIENCE
        with pytest.raises(Unreachable, match=r"does not answer|no route"):
            client.connect(host)
        network.set_link(1, "up")
    monkeypatch.setattr(carriers, "CONNECT", PATIENCE)
    eventually(lambda: answers(client, host))


def answers(client: Client, host: Host) -> bool:
    """Whether the host can be reached; right after its link is up there may be no route yet."""
    try:
        with client.connect(host) as connection:
            return connection.run("echo back", timeout=30).stdout == b"back\n"
    except Unreachable:
        return False


def test_a_short_loss_of_the_network_does_no_harm(network: Namespaces, operator: Operator) -> None:
    with Client(environ=operator.environ).connect(operator.hosts[0].listed) as connection:
        network.set_link(1, "down")
        network.set_link(1, "up")
        assert connection.run("echo on", timeout=30).stdout == b"on\n"
