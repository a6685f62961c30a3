"""What `weaver deploy --ssh` refuses: it says why, and has changed nothing on any host."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from multi_run_shop import multi_run, project_for_session
from ssh_deployed import Deployed
from ssh_hosts import Kind, Operator, SshHost, running_hosts

from weaver.deployers.ssh import deploy_lock
from weaver.deployers.ssh.client import Client
from weaver.deployers.ssh.host_call import RemotePython
from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(120),
]

# The real command line, which sends one byte of the build wrongly.
ALTERED = """
from weaver.cli.main import main
from weaver.deployers.ssh.upload import Cut

message = Cut.message

def altered(self, number):
    sent = bytearray(message(self, number))
    if number == len(self.parts.chunks) - 1:
        sent[-5] ^= 1
    return bytes(sent)

Cut.message = altered
main()
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[Operator]:
    with running_hosts(Kind(), Kind(), Kind()) as operator:
        yield operator


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory, hosts: Operator) -> Iterator[Deployed]:
    with deploying(tmp_path_factory, hosts) as shop:
        yield shop
    hosts.write()


@contextlib.contextmanager
def deploying(factory: pytest.TempPathFactory, operator: Operator) -> Generator[Deployed]:
    project = project_for_session(factory)
    with multi_run(project) as run:
        yield Deployed(project, run, operator)


def tree(host: SshHost) -> dict[str, tuple[int, int, int]]:
    """All files of a home with mode, size and time."""
    found = {path: path.lstat() for path in host.home.rglob("*")}
    return {
        str(path.relative_to(host.home)): (stat.st_mode, stat.st_size, stat.st_mtime_ns)
        for path, stat in found.items()
    }


@contextlib.contextmanager
def unchanged(operator: Operator) -> Generator[None]:
    """Nothing changes on any host meanwhile, and nothing is left running."""
    before = [tree(host) for host in operator.hosts]
    yield
    assert [tree(host) for host in operator.hosts] == before
    for host in operator.hosts:
        host.wait_for_sessions(0)
        assert host.processes() == {}


def test_an_unknown_host_key(shop: Deployed, hosts: Operator) -> None:
    hosts.know(hosts["alpha"], hosts["beta"])
    with unchanged(hosts):
        refused = shop.deploy()
    assert refused.returncode == 1
    said = refused.stdout + refused.stderr
    assert "gamma" in said
    assert hosts["gamma"].fingerprint in said
    assert hosts["gamma"].public_key in said  # the line to add
    assert "--accept-new" in said
    assert not shop.managers()


def test_a_changed_host_key(shop: Deployed, hosts: Operator) -> None:
    other = hosts["alpha"].public_key
    text = hosts.known_hosts.read_text()
    hosts.known_hosts.write_text(text.replace(hosts["gamma"].public_key, other))
    with unchanged(hosts):
        refused = shop.deploy("--accept-new")
    assert refused.returncode == 1
    assert hosts["gamma"].fingerprint in refused.stdout + refused.stderr
    assert hosts["gamma"].public_key not in hosts.known_hosts.read_text()


def test_no_usable_python(shop: Deployed, hosts: Operator) -> None:
    hosts.hosts_txt.write_text("alpha\nbeta\ngamma python=/bin/false\n")
    with unchanged(hosts):
        refused = shop.deploy()
    assert refused.returncode == 1
    assert "/bin/false" in refused.stderr
    assert "gamma" in refused.stderr


def test_a_full_disk(shop: Deployed, hosts: Operator, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "weaver-test", str(disk)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        hosts.hosts_txt.write_text(f"alpha\nbeta\ngamma dir={disk}/weaver\n")
        with unchanged(hosts):
            refused = shop.deploy()
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert refused.returncode == 1
    assert "gamma" in refused.stderr
    assert "free" in refused.stderr


class Emulated:
    """A host on loopback on which the kernel calls itself another machine."""

    def address(self, number: int) -> str:
        return f"127.0.0.{number}"

    def prefix(self, number: int) -> tuple[str, ...]:
        del number
        return ("setarch", "i686")


def test_another_architecture(tmp_path_factory: pytest.TempPathFactory) -> None:
    if subprocess.run(["setarch", "i686", "true"], check=False).returncode:
        pytest.skip("needs setarch, and a kernel that runs programs of 32 bits")
    with (
        running_hosts(Kind(), network=Emulated()) as operator,
        deploying(tmp_path_factory, operator) as shop,
    ):
        with unchanged(operator):
            refused = shop.deploy()
        assert refused.returncode == 1
        assert "i686" in refused.stderr


def test_a_lock_that_is_held(shop: Deployed, hosts: Operator) -> None:
    with Client(environ=hosts.environ).connect(hosts["gamma"].listed) as connection:
        gamma = RemotePython(connection, sys.executable)
        assert deploy_lock.lock(gamma, "till", "0" * 32, "a careful change") is None
    try:
        with unchanged(hosts):
            refused = shop.deploy()
        assert refused.returncode == 1
        assert "till is being deployed by" in refused.stderr
        assert "has held the lock for" in refused.stderr
        assert "a careful change" in refused.stderr
        assert "--steal" in refused.stderr
    finally:
        with Client(environ=hosts.environ).connect(hosts["gamma"].listed) as connection:
            gamma = RemotePython(connection, sys.executable)
            assert deploy_lock.unlock(gamma, "till", "0" * 32)


def test_a_build_that_is_altered_on_its_way(shop: Deployed, hosts: Operator) -> None:
    """The chunks that came whole stay, for the next deploy; nothing of it can be run."""
    done = subprocess.run(
        [sys.executable, "-c", ALTERED, "deploy", "--ssh", str(hosts.hosts_txt)],
        cwd=shop.project,
        env=shop.env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert "altered" in done.stderr
    for host in hosts.hosts:
        weaver = host.home / ".weaver"
        assert list(weaver.glob("releases/*/app.pex")) == []
        assert list(weaver.glob("releases/*/venv")) == []
        assert list(weaver.glob("apps/till/lock")) == []
        assert host.processes() == {}
    assert not shop.managers()
