"""Hosts that are unlike others, and a deploy to them whose command is killed on the way."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from multi_run_shop import multi_run, project_for_session, until
from ssh_deployed import Deployed
from ssh_hosts import Kind, Operator, running_hosts
from ssh_traffic import Traffic

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),
]

NOISY = "echo welcome to this machine; echo and be careful >&2; printf 'no end of line'\n"

# Knows words and single quotes, and nothing else of what shells know: neither do fish and csh.
SHELL = """#!{python}
import os, shlex, sys
words = shlex.split(sys.argv[2]) if sys.argv[1:2] == ["-c"] else ["true"]
words = words[1:] if words[0] == "exec" else words
os.execvp(words[0], words)
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    shell = tmp_path_factory.mktemp("shell") / "shell"
    shell.write_text(SHELL.format(python=sys.executable))
    shell.chmod(0o755)
    kinds = (
        Kind(bashrc=NOISY, home="a home with spaces"),
        Kind(shell=str(shell), umask="077"),
        Kind(sshd=("AllowStreamLocalForwarding no", "MaxSessions 2")),
    )
    with running_hosts(*kinds) as operator:
        yield operator


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, hosts: Operator) -> Iterator[Deployed]:
    project = project_for_session(tmp_path_factory)
    with multi_run(project, WEAVER__GROUPS__FRONT__REPLICAS="2") as run:
        deployed = Deployed(project, run, hosts)
        yield deployed
        deployed.kill_managers()


def killed_when(shop: Deployed, happens: Callable[[str], bool], *options: str) -> str:
    """Deploy, and kill the command when a line says something; what it has said."""
    said = ""
    process = subprocess.Popen(
        [sys.executable, "-m", "weaver", "deploy", "--ssh", str(shop.operator.hosts_txt), *options],
        cwd=shop.project,
        env=shop.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if happens(line):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL, said
    return said


def test_a_command_that_is_killed(shop: Deployed, hosts: Operator) -> None:
    """Killed in the upload, and once more when all is live."""
    blobs = [host.home / ".weaver" / "blobs" for host in hosts.hosts]

    def is_uploading(line: str) -> bool:
        if "uploading" in line:
            until(lambda: any(folder.is_dir() and any(folder.iterdir()) for folder in blobs))
        return "uploading" in line

    killed_when(shop, is_uploading)
    assert not shop.managers()

    refused = shop.deploy()
    assert refused.returncode == 1
    assert re.search(
        r"has held the lock for \d+ s, its last sign of life was \d+ s", refused.stderr
    )
    assert "--steal" in refused.stderr

    kept = {host.name: stored(folder) for host, folder in zip(hosts.hosts, blobs, strict=True)}
    said = killed_when(shop, lambda line: "is live" in line, "--steal")
    assert said.count("the lock was taken from") == 3
    assert any(kept.values())
    for host, folder in zip(hosts.hosts, blobs, strict=True):
        for blob, written in kept[host.name].items():  # what was there is not sent again
            assert (folder / blob).stat().st_mtime_ns == written

    until(shop.is_in_order)
    with Traffic(shop.listeners()) as traffic:
        traffic.wait_for(20)
    assert traffic.failures == []
    locks = [host.home / ".weaver" / "apps" / "till" / "lock" for host in hosts.hosts]
    until(lambda: not any(lock.exists() for lock in locks), 90)  # its manager gives it back
    (release,) = (hosts.hosts[0].home / ".weaver" / "releases").iterdir()
    until((release / "good").exists)
    again = shop.deploy()
    assert again.returncode == 0
    assert "nothing to do" in again.stdout


def stored(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_another_manager_and_the_end(shop: Deployed, hosts: Operator) -> None:
    """Every way to a host is used: for calls, for envelopes, and for what the last one has left."""
    before = shop.running()
    assert {host for _, host, _ in before} == {"alpha", "beta", "gamma"}
    shop.kill_managers()
    attached = shop.attach()
    assert attached.returncode == 0, attached.stderr
    until(shop.is_in_order)
    assert shop.running() == before

    stopped = shop.command("stop", "till")
    assert stopped.returncode == 0, stopped.stderr
    for host in hosts.hosts:
        assert host.processes() == {}
        assert list((host.home / ".weaver" / "run").rglob("*")) == []
        assert list(host.runtime.rglob("*")) == []
        everything = list(host.home.joinpath(".weaver").rglob("*"))
        assert [path for path in everything if path.is_socket()] == []
        temporary = [p for p in everything if p.name.startswith((".part", ".removed-"))]
        assert temporary == []
        assert list(host.home.glob(".weaver/releases/*/venv"))  # for the next deploy
