"""Going back to a kept version on a host that is reached over SSH."""

from pathlib import Path

import pytest
from rollout_duo import Load, duo_in, until
from ssh_hosts import SEASONED, running_hosts

from weaver.control.operator import GetStatus, Status
from weaver.deployers.manager_client import ask
from weaver.deployers.registry import Record
from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(280),  # a host installs two versions, on a machine that may be busy
]


def address_of(record: Record) -> str:
    """Where a deployment is served."""
    (status,) = [answer for answer in ask(record, GetStatus()) if isinstance(answer, Status)]
    return status.report.listeners[0].address


def test_a_version_comes_back_from_what_this_machine_and_the_host_keep(caches: Path) -> None:
    with running_hosts(SEASONED) as hosts:
        environ = {name: value for name, value in hosts.environ.items() if name != "PATH"}
        with duo_in(caches, environ) as duo:
            duo.options = ("--ssh", str(hosts.hosts_txt))
            done = duo.write("one", steps=["100%"], keep_warm="0s").deploy()
            assert done.returncode == 0, done.stdout + done.stderr
            first = duo.running()[0].version
            done = duo.write("two", steps=["100%"], keep_warm="0s").deploy()
            assert done.returncode == 0, done.stdout + done.stderr
            until(lambda: len(duo.running()) == 1)
            with Load(address_of(duo.running()[0])) as load:
                load.sees("two")
                refused = duo.command("rollback", first)
                assert refused.returncode == 2
                assert "name the hosts file" in refused.stderr
                planned = duo.command("deploy", *duo.options, "--plan")
                assert "alpha: send " in planned.stdout
                done = duo.command("rollback", first[:8], *duo.options)
                assert done.returncode == 0, done.stdout + done.stderr
                load.sees("one")
            assert load.failures == []
            assert load.mixed == []
            duo.command("stop", "duo")
            until(lambda: not hosts["alpha"].processes())
