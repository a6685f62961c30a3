"""The boutique on three hosts, its front on two: orders are placed by components of them all."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from boutique_visit import Calls, calls, order
from multi_run_shop import multi_run, project_for_session, until
from ssh_deployed import Deployed
from ssh_hosts import SEASONED, Operator, running_hosts
from ssh_network import namespaces

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),
]

BOUTIQUE: Final = Path(__file__).parents[2] / "examples" / "boutique"


@pytest.fixture
def hosts() -> Iterator[Operator]:
    with (
        namespaces(3) as network,
        running_hosts(SEASONED, SEASONED, SEASONED, network=network) as operator,
    ):
        yield operator


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory, hosts: Operator) -> Iterator[Deployed]:
    folder = project_for_session(tmp_path_factory).parent / "boutique-on-hosts"
    shutil.copytree(BOUTIQUE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    # As it is shipped; but reachable from other hosts, at a port that nobody else has.
    with multi_run(folder, app="boutique", WEAVER__LISTENERS__HTTP__ADDRESS="0.0.0.0:0") as run:
        deployed = Deployed(folder, run, hosts, app="boutique")
        yield deployed
        deployed.kill_managers()


def test_an_order_crosses_hosts(shop: Deployed, hosts: Operator) -> None:
    done = shop.deploy()
    assert done.returncode == 0, done.stderr
    assert shop.is_in_order()
    assert {host for _, host, _ in shop.running()} == {"alpha", "beta", "gamma"}
    fronts = shop.hosts_of("front")
    assert len(set(fronts)) == 2
    # So at least one of the fronts is on another host than the one place where orders are taken.
    assert len(shop.hosts_of("orders")) == 1

    addresses = shop.listeners()
    hosts_of_addresses = sorted(address.rsplit(":", 1)[0] for address in addresses)
    assert hosts_of_addresses == sorted(hosts[name].address for name in fronts)
    for address in addresses:
        order(address)
    until(lambda: remote_calls(shop)["Web", "Checkout.place_order"] == 2)
    until(lambda: remote_calls(shop)["Checkout", "Cart.empty_cart"] == 2)

    stopped = shop.command("stop", "boutique")
    assert stopped.returncode == 0, stopped.stderr
    for host in hosts.hosts:
        assert host.processes() == {}


def remote_calls(shop: Deployed) -> Calls:
    """The calls that have left their process."""
    return calls(shop.status()["methods"])[1]
