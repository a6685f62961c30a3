"""`weaver deploy` on this machine: it goes on without the command, and without its manager."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from multi_run_shop import PATIENCE, MultiRun, multi_run, project_for_session, until
from weaver_command import weaver

from weaver.packaging.freeze import in_virtual_environment

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_for_session(tmp_path_factory)


class Deployed:
    """The shop, deployed by a command that has ended."""

    def __init__(self, project: Path, run: MultiRun) -> None:
        self.run = run
        self.project = project
        self.pids: set[int] = set()

    def deploy(self) -> subprocess.CompletedProcess[str]:
        done = self.command("deploy")
        if done.returncode == 0:
            self.note()
        return done

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return weaver(self.project, self.run.env, *words, within=60)

    def note(self) -> None:
        """Remember every process of it."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("XDG_RUNTIME_DIR") == str(self.run.runtime):
                    self.pids.add(process.pid)

    def manager(self) -> int:
        (path,) = self.run.state.glob("weaver/deployments/till/*.json")
        text = path.read_text()
        return int(text.split('"pid":')[1].split(",")[0])

    def running(self) -> set[int]:
        self.note()
        return {pid for pid in self.pids if _runs(pid)}


@pytest.fixture
def shop(project: Path) -> Iterator[Deployed]:
    with multi_run(project) as run:
        deployed = Deployed(project, run)
        try:
            yield deployed
        finally:
            for pid in deployed.running():
                os.kill(pid, signal.SIGKILL)
            until(lambda: not deployed.running())


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def get(address: str, path: str) -> tuple[int, str]:
    import http.client

    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def kept_log(shop: Deployed) -> str:
    """The application's log as it is on disk."""
    paths = shop.run.state.glob("weaver/journals/till/*/log.jsonl")
    return "".join(path.read_text() for path in paths)


def added(log: str) -> list[str]:
    """The numbers that were added, as a log has them."""
    lines = [line.split()[-2:] for line in log.splitlines() if line.strip()]
    return [number for word, number in lines if word == "added"]


def following(shop: Deployed) -> subprocess.Popen[bytes]:
    """`weaver logs -f till`, which shows its lines already."""
    out, err = shop.run.state / "followed", shop.run.state / "said"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "weaver", "logs", "-f", "till"],
            env=shop.run.env,
            stdout=stdout,
            stderr=stderr,
        )
    until(lambda: "added 2" in out.read_text() or process.poll() is not None)
    return process


def assert_all_was_followed(shop: Deployed, follower: subprocess.Popen[bytes]) -> None:
    """Every line was shown once, from one manager to the next, and can be read still."""
    assert follower.wait(PATIENCE) == 0
    said = (shop.run.state / "said").read_text().splitlines()
    assert said[-2].startswith("till has a manager again, process ")
    assert said[-1] == "till: stopped"
    assert added((shop.run.state / "followed").read_text()) == ["2", "3", "1"]
    left = shop.command("logs", "till", "--grep", "added")
    assert added(left.stdout) == ["2", "3", "1"]
    assert left.stderr.endswith(": stopped\n")


def test_it_serves_on_without_its_manager_and_another_one_goes_on(shop: Deployed) -> None:
    done = shop.deploy()
    assert done.returncode == 0, done.stderr
    address = done.stdout.split("listener http: http://")[1].split()[0]
    assert get(address, "/add/2") == (200, "2")
    shop.run.ask("scale", "till", "names=3")
    until(lambda: len(shop.run.replicas("names")) == 3)
    first = shop.manager()
    until(lambda: "added 2" in kept_log(shop))
    follower = following(shop)
    os.kill(first, signal.SIGKILL)
    until(lambda: not _runs(first))
    assert get(address, "/add/3") == (200, "5")
    refused = shop.command("scale", "till", "names=2")
    assert refused.returncode == 1
    assert "weaver attach till" in refused.stderr

    attached = shop.command("attach", "till")
    assert attached.returncode == 0, attached.stderr
    assert f"listener http: http://{address}" in attached.stdout
    assert shop.manager() != first
    assert get(address, "/add/1") == (200, "6")  # nothing was started anew
    until(lambda: {r["state"] for r in shop.run.replicas("names").values()} == {"ready"})
    assert len(shop.run.replicas("names")) == 3
    until(lambda: "added 1" in kept_log(shop))
    assert added(shop.run.ask("logs", "till")) == ["2", "3", "1"]
    again = shop.command("attach", "till")
    assert "has a manager already" in again.stdout
    shop.run.ask("stop", "till")
    until(lambda: not shop.running())
    assert list(shop.run.runtime.rglob("*.sock")) == []
    assert_all_was_followed(shop, follower)


def test_what_lost_its_manager_can_be_stopped(shop: Deployed) -> None:
    assert shop.deploy().returncode == 0
    shop.note()
    os.kill(shop.manager(), signal.SIGKILL)
    stopped = shop.command("stop", "till")
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: not shop.running())
    gone = shop.command("stop", "till")
    assert gone.returncode == 2
    assert 'no application called "till" runs here' in gone.stderr


def test_what_is_gone_altogether_can_be_closed(shop: Deployed) -> None:
    assert shop.deploy().returncode == 0
    for pid in shop.running():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not shop.running())
    refused = shop.command("attach", "till")
    assert refused.returncode == 1
    assert "nothing of till runs here any more" in refused.stderr
    closed = shop.command("stop", "till")
    assert closed.returncode == 0
    assert "nothing of it runs any more" in closed.stdout
    assert shop.deploy().returncode == 0
    shop.run.ask("stop", "till")
