"""`weaver deploy --ssh`: a shop on three hosts, as a user deploys, looks at and ends it."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_processes import send
from multi_run_shop import multi_run, project_for_session, until
from ssh_deployed import Deployed
from ssh_hosts import Operator

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),  # three hosts install at the same time, on the cores of one
]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_for_session(tmp_path_factory)


@pytest.fixture
def shop(project: Path, ssh_hosts: Operator) -> Iterator[Deployed]:
    with multi_run(project) as run:
        deployed = Deployed(project, run, ssh_hosts)
        yield deployed
        deployed.kill_managers()


def test_a_shop_on_three_hosts_serves_and_ends_without_a_trace(
    shop: Deployed, ssh_hosts: Operator
) -> None:
    planned = shop.deploy("--plan")
    assert planned.returncode == 0, planned.stderr
    assert "nothing was changed" in planned.stdout
    assert not (ssh_hosts["alpha"].home / ".weaver" / "blobs").exists()
    is_interrupted_at_once(shop, ssh_hosts)

    done = shop.deploy("--steal")
    assert done.returncode == 0, done.stderr
    assert shop.get("/add/2") == (200, "2")
    assert shop.get("/name/ann") == (200, "name of ann")
    replicas = shop.replicas()
    assert {replica["host"] for replica in replicas} == {"alpha", "beta", "gamma"}
    for replica in replicas:
        assert replica["pid"] in ssh_hosts[replica["host"]].processes()

    again = shop.deploy()
    assert again.returncode == 0
    assert "nothing to do" in again.stdout

    stopped = shop.command("stop", "till")
    assert stopped.returncode == 0, stopped.stderr
    for host in ssh_hosts.hosts:
        assert host.processes() == {}
        assert list((host.home / ".weaver" / "run").iterdir()) == []
        assert list(host.runtime.rglob("*")) == []
    shop.no_manager_is_left()

    once_more = shop.deploy()
    assert once_more.returncode == 0, once_more.stderr
    assert once_more.stderr.count("is there already  0 B sent") == 3
    assert "uploading" not in once_more.stderr

    shop.kill_managers()
    for host in ssh_hosts.hosts:  # as if all machines had lost power
        while processes := host.processes():
            send(signal.SIGKILL, processes)
    assert shop.deploy().returncode == 0
    assert {replica["state"] for replica in shop.replicas()} == {"ready"}  # of one deployment
    assert shop.command("stop", "till").returncode == 0
    assert "no application called" in shop.command("status", "till").stderr


def is_interrupted_at_once(shop: Deployed, ssh_hosts: Operator) -> None:
    """Ctrl-C while a host that is sent the release hangs: nobody waits for it."""
    said = shop.operator.folder / "interrupted"
    words = ["deploy", "--ssh", str(ssh_hosts.hosts_txt)]
    with said.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "weaver", *words], cwd=shop.project, env=shop.env, stderr=err
        )
    try:
        until(lambda: "beta   uploading" in said.read_text() or process.poll() is not None)
        ssh_hosts["beta"].freeze()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130, said.read_text()  # it would have waited for minutes
    finally:
        process.kill()
        process.wait()
        ssh_hosts["beta"].thaw()
    told = said.read_text().partition("interrupted: nothing was started; what ")[2]
    assert "beta" in told.partition(" got is not sent again by the next deploy\n")[0]
    (hanging,) = [line for line in told.splitlines() if "lock could not be given back" in line]
    for name in ("alpha", "gamma"):  # hosts this slow are not waited for either
        lock = ssh_hosts[name].home / ".weaver" / "apps" / "till" / "lock"
        assert name in hanging or not lock.exists()


def has_joined(shop: Deployed, ssh_hosts: Operator) -> None:
    """A third host joins a shop that runs on two, and takes the next replica; nobody restarts."""
    assert shop.deploy("--limit", "alpha,beta").returncode == 0
    running = shop.running()
    planned = shop.deploy("--plan")
    assert "; joins\n" in planned.stdout, planned.stderr
    assert ssh_hosts["gamma"].processes() == {}
    joined = shop.deploy()
    assert joined.returncode == 0, joined.stderr
    assert "gamma has joined till" in joined.stdout
    listed = ssh_hosts.hosts_txt.read_text()
    ssh_hosts.hosts_txt.write_text(listed.replace("beta ", "beta slots=9 labels=big "))
    changed = shop.deploy()
    assert "beta: slots, labels and groups of till are as listed now" in changed.stdout
    assert shop.running() == running
    assert "nothing to do" in shop.deploy().stdout
    assert shop.command("scale", "till", "names=3").returncode == 0
    until(shop.is_in_order)
    assert sorted(shop.hosts_of("names")) == ["alpha", "beta", "gamma"]
    assert shop.running() > running
    for _ in range(6):  # by turns, of which one goes to the host that has joined, and back
        assert shop.get("/name/ann") == (200, "name of ann")


def test_another_machine_goes_on_where_the_manager_stopped(
    shop: Deployed, ssh_hosts: Operator, tmp_path: Path
) -> None:
    has_joined(shop, ssh_hosts)
    before = {replica["id"]: replica["pid"] for replica in shop.replicas()}
    with tempfile.TemporaryDirectory(prefix="wssh-", dir="/tmp") as folder:  # short, for sockets
        other = shop.elsewhere(Path(folder))
        refused = other.attach()
        assert refused.returncode == 2
        assert "till has a manager" in refused.stderr
        try:
            taken = other.attach("--steal")
            assert taken.returncode == 0, taken.stderr
            shop.no_manager_is_left()  # it is fenced off, and ends nothing
            fenced = shop.command("status", "till")
            assert fenced.returncode == 2
            assert "till has a manager on another machine" in fenced.stderr
            assert shop.get("/add/2") == (200, "2")
            until(lambda: {r["state"] for r in other.replicas()} == {"ready"})
            assert {replica["id"]: replica["pid"] for replica in other.replicas()} == before

            other.kill_managers()
            assert shop.get("/add/3") == (200, "5")
            assert shop.attach().returncode == 0
            assert {replica["id"]: replica["pid"] for replica in shop.replicas()} == before
        finally:
            other.kill_managers()
    assert shop.command("stop", "till").returncode == 0
    for host in ssh_hosts.hosts:
        assert host.processes() == {}
    stranger = shop.elsewhere(tmp_path)
    stranger.env |= {"WEAVER__SSH__HOSTS": str(shop.operator.hosts_txt)}
    told = stranger.command("history", "till").stdout  # who has deployed nothing asks the hosts
    assert "names is to have 3 replicas" in told
