"""The shop of multi_run_shop, deployed to the hosts of ssh_hosts by commands of their own."""

import copy
import http.client
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec
from host_processes import is_running
from multi_run_shop import PATIENCE, MultiRun, until
from ssh_hosts import Operator
from weaver_command import weaver

from weaver.control.operator import DeploymentReport, GetEvents, History
from weaver.deployers.manager_client import ask, ask_status
from weaver.deployers.registry import Record


class Deployed:
    """The machine of whoever deploys; its directories are those of a `MultiRun`."""

    def __init__(self, project: Path, run: MultiRun, operator: Operator, app: str = "till") -> None:
        self.app = app
        self.project = project
        self.operator = operator
        self.env = {
            **run.env,
            **{k: v for k, v in operator.environ.items() if k != "PATH"},
        }
        self.env.pop("SSH_AUTH_SOCK", None)
        self.state = run.state
        self.since = 0.0
        self._address = ""

    def elsewhere(self, folder: Path) -> "Deployed":
        """Another machine with access to the same hosts, and nothing else of the deployment."""
        other = copy.copy(self)
        (folder / "run").mkdir(mode=0o700)
        other.state = folder / "state"
        other.env = self.env | {
            "XDG_STATE_HOME": str(other.state),
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }
        return other

    def attach(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`weaver attach till --ssh hosts.txt`."""
        return self.command("attach", self.app, "--ssh", str(self.operator.hosts_txt), *options)

    def deploy(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`weaver deploy --ssh hosts.txt`; returns when it has ended."""
        done = self.command("deploy", "--ssh", str(self.operator.hosts_txt), *options)
        if "listener http: http://" in done.stdout:
            self._address = done.stdout.split("listener http: http://")[1].split()[0]
        return done

    def command(self, *words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Any command of weaver."""
        return weaver(self.project, self.env, *words, within=seconds)

    def get(self, path: str) -> tuple[int, str]:
        """The status and the page at `path`, over a connection of its own."""
        host, port = self._address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """The deployment as `weaver status --json` has it."""
        done = self.command("status", self.app, "--json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        assert len(found) == 1, done.stdout
        return found[0]

    def replicas(self, group: str = "") -> list[dict[str, Any]]:
        """Its replicas, or those of a group."""
        return [
            replica
            for found in self.status()["groups"]
            if group in {"", found["name"]}
            for replica in found["replicas"]
        ]

    def report(self) -> DeploymentReport:
        """What its manager says of it now. Raises Unreachable."""
        return ask_status(self.record()).report

    def record(self) -> Record:
        """What this machine knows of it."""
        paths = self.state.glob(f"weaver/deployments/{self.app}/*.json")
        found = [msgspec.json.decode(path.read_bytes(), type=Record) for path in paths]
        return max(found, key=lambda record: record.started)

    def is_in_order(self, without: str = "") -> bool:
        """Whether it is live with all its replicas, which are ready; but for those of a host."""
        report = self.report()
        return report.state == "live" and all(
            len([r for r in own if r.state == "ready"]) == group.wanted
            and {r.state for r in own} == {"ready"}
            for group in report.groups
            for own in [[r for r in group.replicas if r.host != without]]
        )

    def running(self) -> set[tuple[str, str, int]]:
        """Its replicas: id, host and process."""
        groups = self.report().groups
        return {(r.id, r.host, r.pid) for group in groups for r in group.replicas}

    def states_on(self, host: str) -> set[str]:
        """The states of the replicas of a host."""
        groups = self.report().groups
        return {r.state for group in groups for r in group.replicas if r.host == host}

    def hosts_of(self, name: str) -> list[str]:
        """The hosts of a group's replicas."""
        (found,) = [group for group in self.report().groups if group.name == name]
        return [replica.host for replica in found.replicas]

    def listeners(self) -> list[str]:
        """The addresses that it is served at."""
        return [listener.address for listener in self.report().listeners]

    def events(self, kind: str) -> list[str]:
        """What of this kind has happened since the time `since`."""
        asked = ask(self.record(), GetEvents())
        found = [e for answer in asked if isinstance(answer, History) for e in answer.events]
        return [event.text for event in found if event.kind == kind and event.time > self.since]

    def managers(self) -> list[int]:
        """The processes of its managers that run, by what they have written of themselves."""
        records = self.state.glob(f"weaver/deployments/{self.app}/*.json")
        pids = [int(json.loads(path.read_text())["pid"]) for path in records]
        return [pid for pid in pids if is_running(pid)]

    def kill_managers(self) -> None:
        """SIGKILL, as a machine does that goes down."""
        for pid in self.managers():
            os.kill(pid, signal.SIGKILL)
        self.no_manager_is_left()

    def no_manager_is_left(self) -> None:
        """Wait until none runs."""
        until(lambda: not self.managers())
