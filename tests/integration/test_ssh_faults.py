"""What may happen to a deployment on three hosts: it serves on, and its status is true afterwards.

All tests share one deployment; each leaves it as the next one needs it. The hosts are network
namespaces where this user may make them, else addresses of loopback.
"""

import os
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from multi_run_shop import multi_run, project_for_session, until
from ssh_deployed import Deployed
from ssh_hosts import SEASONED, Operator, running_hosts
from ssh_network import Namespaces, namespaces
from ssh_traffic import Traffic

from weaver.control.operator import DeploymentReport
from weaver.packaging.freeze import in_virtual_environment
from weaver.rpc.connection import Connection
from weaver.rpc.handshake import Hello

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),
]
ALERT = 21  # the type of a record of TLS
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
    with running_hosts(SEASONED, SEASONED, SEASONED, network=network) as operator:
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
        for command in ("status", "stop"):  # the second must not take it for ended
            refused = shop.command(command, "till")
            assert "weaver attach till --ssh HOSTS" in refused.stderr
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
        frozen = time.time()
        hosts[victim].freeze()
        try:
            until(lambda: shop.states_on(victim) == {"lost"}, 60)
            withdrawn = time.time()
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
    print(f"out of routing {withdrawn - frozen:.1f} s after it froze")
    assert withdrawn - frozen < 12  # with a busy machine's delays; else 3 s of silence, and 1
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


def test_a_second_manager_and_a_second_deploy(shop: Deployed, hosts: Operator) -> None:
    """Both refused, and nothing is changed for them."""
    before = shop.running()
    written = [sorted((host.home / ".weaver" / "apps").rglob("*")) for host in hosts.hosts]
    with tempfile.TemporaryDirectory(prefix="wssh-", dir="/tmp") as folder:  # short, for sockets
        other = shop.elsewhere(Path(folder))
        with Traffic(shop.listeners()) as traffic:
            deployed = other.deploy()
            attached = other.attach()
        assert not other.managers()
    for refused in (deployed, attached):
        assert refused.returncode == 2
        assert "till has a manager" in refused.stderr
        assert "--steal" in refused.stderr
    assert traffic.failures == []
    assert shop.running() == before
    after = [sorted((host.home / ".weaver" / "apps").rglob("*")) for host in hosts.hosts]
    assert after == written


def test_hosts_are_called_under_tls_only(shop: Deployed, hosts: Operator) -> None:
    """Replicas listen at the address of their host, and answer nobody without a certificate."""
    served = {int(address.rsplit(":", 1)[1]) for address in shop.listeners()}
    for replica, name, pid in shop.running():
        dialled = [at for at in listening(pid) if at[1] not in served]
        # The second one of a replica with a listener is for ingresses of other hosts.
        addresses = 2 if replica.startswith("front-") else 1
        assert [at[0] for at in dialled] == [hosts[name].address] * addresses, replica
        inside = newest(hosts[name].home / ".weaver" / "run", f"{replica}-*.sock")
        hello = greeting(shop.report())
        assert answers(connected(inside), hello)  # on the host itself
        for at in dialled:
            assert not answers(connected(at), hello)
            with pytest.raises(OSError, match=r"ALERT|certificate|reset|EOF"):
                read_without_a_certificate(at)


def test_stop_leaves_nothing(deployed: Deployed, hosts: Operator) -> None:
    until(deployed.is_in_order, 60)
    stopped = deployed.command("stop", "till")
    assert stopped.returncode == 0, stopped.stderr
    for host in hosts.hosts:
        assert host.processes() == {}
        assert list((host.home / ".weaver" / "run").rglob("*")) == []
        assert list(host.runtime.rglob("*")) == []
    deployed.no_manager_is_left()


def listening(pid: int) -> list[tuple[str, int]]:
    """Where a process takes TCP connections, in its network."""
    links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    own = [row[1].split(":") for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]
    return [(socket.inet_ntoa(bytes.fromhex(at)[::-1]), int(port, 16)) for at, port in own]


def greeting(report: DeploymentReport) -> bytes:
    """What a peer of the deployment says first where there is no TLS."""
    hello = Hello(
        deployment=report.deployment, build=report.version, methods=b"0" * 8, replica="test-1"
    )
    return b"".join(bytes(part) for part in Connection(hello).data_to_send())


def newest(folder: Path, pattern: str) -> Path:
    """Of a replica that was killed with its envelope, the socket is there, too."""
    return max(folder.rglob(pattern), key=lambda path: path.stat().st_mtime)


def connected(at: tuple[str, int] | Path) -> socket.socket:
    if not isinstance(at, Path):
        return socket.create_connection(at, 10)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    try:
        sock.connect(str(at))
    except OSError:
        sock.close()
        raise
    return sock


def answers(sock: socket.socket, data: bytes) -> bool:
    """Whether somebody answers this, with anything but a refusal by TLS itself."""
    with sock:
        try:
            sock.sendall(data)
            found = sock.recv(4096)
        except ConnectionError:
            return False
    return bool(found) and found[0] != ALERT


def read_without_a_certificate(at: tuple[str, int]) -> bytes:
    """What a peer of another deployment reads. Raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(at, 10) as sock, context.wrap_socket(sock) as wrapped:
        found = wrapped.recv(4096)
        if not found:
            raise ConnectionResetError("reset, or closed")
        return found


def places(replicas: set[tuple[str, str, int]]) -> set[tuple[str, str]]:
    return {(replica, host) for replica, host, _ in replicas}


def number_of(hosts: Operator, name: str) -> int:
    return [host.name for host in hosts.hosts].index(name) + 1
