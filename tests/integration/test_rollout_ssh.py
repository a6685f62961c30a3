"""A rollout over three hosts that are reached over SSH, under load at each of them."""

import contextlib
import os
from collections.abc import Iterator

import pytest
from rollout_duo import Duo, Load, duo_in, until
from ssh_hosts import Operator

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
def duo(tmp_path_factory: pytest.TempPathFactory, ssh_hosts: Operator) -> Iterator[Duo]:
    base = tmp_path_factory.getbasetemp()
    caches = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packaging"
    caches.mkdir(exist_ok=True)
    environ = {name: value for name, value in ssh_hosts.environ.items() if name != "PATH"}
    with duo_in(caches, environ) as found:
        found.options = ("--ssh", str(ssh_hosts.hosts_txt))
        yield found


def listeners(duo: Duo) -> list[str]:
    """Where the newest version is served."""
    for answer in ask(duo.running()[0], GetStatus()):
        if isinstance(answer, Status):
            return [listener.address for listener in answer.report.listeners]
    return []


def test_a_rollout_over_three_hosts_loses_no_request_at_any_of_them(
    duo: Duo, ssh_hosts: Operator
) -> None:
    wanted = {"replicas": 3, "steps": ["50%", "100%"], "pause": "1s", "keep_warm": "1s"}
    done = duo.write("one", **wanted).deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    addresses = listeners(duo)
    assert len(addresses) == 3
    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(Load(address, clients=2)) for address in addresses]
        for load in loads:
            load.sees("one")
        done = duo.write("two", **wanted).deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        assert listeners(duo) == addresses
        until(lambda: len(duo.running()) == 1)
        for load in loads:
            load.sees("two")
    for load in loads:
        assert load.failures == []
        assert load.mixed == []
    for host in ssh_hosts.hosts:
        assert len(host.named("weaver-envelope")) == 1
    stopped = duo.command("stop", "duo")
    assert stopped.returncode == 0, stopped.stderr
    for host in ssh_hosts.hosts:
        assert host.processes() == {}
