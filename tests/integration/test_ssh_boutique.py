"""The boutique on three hosts, its front on two: orders are placed by components of them all."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from multi_run_shop import multi_run, project_for_session, until
from ssh_deployed import Deployed
from ssh_hosts import Kind, Operator, running_hosts
from ssh_network import namespaces

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),
]

BOUTIQUE: Final = Path(__file__).parents[2] / "examples" / "boutique"
MUG: Final = "6E92ZMYYFZ"
ORDER: Final = {
    "email": "ada@example.com",
    "street_address": "1 Harbour Street",
    "zip_code": "94043",
    "city": "Mountain View",
    "state": "CA",
    "country": "United States",
    "credit_card_number": "4432801561520454",
    "credit_card_expiration_month": "1",
    "credit_card_expiration_year": "2099",
    "credit_card_cvv": "672",
}


@pytest.fixture
def hosts() -> Iterator[Operator]:
    with (
        namespaces(3) as network,
        running_hosts(Kind(), Kind(), Kind(), network=network) as operator,
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
    until(lambda: remote_calls(shop)["Checkout.place_order"] == 2)
    until(lambda: remote_calls(shop)["Cart.empty_cart"] == 2)

    stopped = shop.command("stop", "boutique")
    assert stopped.returncode == 0, stopped.stderr
    for host in hosts.hosts:
        assert host.processes() == {}


def remote_calls(shop: Deployed) -> Counter[str]:
    """The calls that have left their process, by component and method."""
    found: Counter[str] = Counter()
    for called in shop.status()["methods"]:
        found[f"{called['component'].rpartition('.')[2]}.{called['method']}"] += called["remote"]
    return found


def order(address: str) -> None:
    """Put something into the cart and pay for it, as a visitor does."""
    with httpx.Client(base_url=f"http://{address}", timeout=20, follow_redirects=True) as visitor:
        added = visitor.post("/cart", data={"product_id": MUG, "quantity": "2"})
        assert added.status_code == 200
        paid = visitor.post("/cart/checkout", data=ORDER)
        assert paid.status_code == 200
        assert "Your order is complete" in paid.text
