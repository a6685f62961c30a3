"""A small shop and `weaver multi run` of it as a user starts it, for tests of both."""

import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import psutil
import pytest
from shared_folders import shared_folder
from waiting import wait_until
from weaver_command import weaver

from weaver.control.operator import ReplicaReport
from weaver.deployers import registry
from weaver.deployers.manager_client import ask_status

PATIENCE: Final = 40.0
"""Seconds until what must happen counts as failed."""

BUILT_WITHIN: Final = 90.0
"""The same where a PEX may have to be built first, with its wheels."""

FILES: Final = {
    "weaver.toml": """
[app]
name = "till"
entry = "till:Web"
env = { TILL_GREETING = "hello there" }
[groups.front]
components = ["Web"]
[groups.names]
components = ["Names"]
replicas = 2
[groups.counts]
components = ["Counter", "Fragile"]
[groups.books]
components = ["Ledger", "Weak"]
[listeners.http]
address = "127.0.0.1:0"
""",
    "pyproject.toml": '[project]\nname = "till"\nversion = "1"\n',
    "till.py": """
import asyncio
import logging
import os

import weaver

LOG = logging.getLogger("till")

@weaver.component
class Names:
    async def start(self) -> None:
        if os.environ.get("TILL_FAILS"):
            print("the list of names is empty")
            raise ValueError("no names today")

    @weaver.idempotent
    @weaver.routed(by="key")
    async def get(self, key: str) -> str:
        return f"name of {key}"

    async def stop(self) -> None:
        await asyncio.sleep(float(os.environ.get("TILL_STOPS", "0")))
        print("names stopped", flush=True)

@weaver.component
class Counter:
    def __init__(self) -> None:
        self.total = 0

    async def add(self, number: int) -> int:
        self.total += number
        print("added", number, flush=True)
        os.write(1, b"without Python\\n")
        LOG.warning("total %d", self.total)
        return self.total

@weaver.component
class Fragile:
    async def crash(self) -> None:
        print("first words")
        LOG.error("more words")
        print("last words", flush=True)
        os._exit(3)

@weaver.component
class Ledger:
    async def note(self, key: str) -> str:
        await asyncio.sleep(0.003)  # so that some are always under way
        with open(os.environ["TILL_LEDGER"], "a") as file:
            print(key, file=file)
        return key

@weaver.component
class Weak:
    async def start(self) -> None:
        if os.path.exists(os.environ.get("TILL_BROKEN", "")):
            print("the till is broken")
            os._exit(4)

    async def lift(self) -> str:
        return "lifted"

@weaver.component
class Web:
    names: Names
    counter: Counter
    fragile: Fragile
    ledger: Ledger
    weak: Weak
    http: weaver.Listener

    async def main(self) -> None:
        await self.http.serve(self._page)

    async def _page(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        status, text = 200, ""
        try:
            match scope["path"].split("/")[1:]:
                case ["name", key]:
                    text = await self.names.get(key)
                case ["add", number]:
                    text = str(await self.counter.add(int(number)))
                case ["note", key]:
                    text = await self.ledger.note(key)
                case ["lift"]:
                    async with asyncio.timeout(1):
                        text = await self.weak.lift()
                case ["crash"]:
                    await self.fragile.crash()
        except Exception as error:
            status, text = 500, f"{type(error).__name__}: {error}"
        head = {"type": "http.response.start", "status": status, "headers": []}
        await send(head)
        await send({"type": "http.response.body", "body": text.encode()})

    async def stop(self) -> None:
        print("web stopped", flush=True)
""",
}


class MultiRun:
    """`weaver multi run` in a process, with directories of its own below `folder`."""

    def __init__(
        self, project: Path, folder: Path, env: dict[str, str], *arguments: str, app: str = "till"
    ) -> None:
        self._project = project
        self._arguments = arguments
        self._app = app
        self.prefix: tuple[str, ...] = ()
        """What is put before the command."""
        self.state = folder / "state"
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o700)
        self.env = {
            **os.environ,
            "XDG_STATE_HOME": str(self.state),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CACHE_HOME": str(project.parents[1] / "packaging" / "cache"),  # that of all tests
            "PEX_ROOT": str(project.parents[1] / "packaging" / "pex"),
            **env,
        }
        self._out = folder / "out"
        self._seen: dict[int, psutil.Process] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; returns at once."""
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "weaver", "multi", "run", *self._arguments],
                cwd=self._project,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    def build(self) -> Self:
        """Build what it will run, so that no time is spent on that later."""
        self.run("build", within=BUILT_WITHIN)
        return self

    def live(self) -> Self:
        """Wait until it is live."""
        until(lambda: "listener http: http://" in self.output() or self.ended(), BUILT_WITHIN)
        assert "listener http: http://" in self.output(), self.output()
        self.processes()
        return self

    def output(self) -> str:
        """What it has printed."""
        return self._out.read_text()

    def ended(self) -> bool:
        """Whether the process of the command has ended."""
        assert self.process is not None
        return self.process.poll() is not None

    def wait(self) -> int:
        """The exit code, once it has ended."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command."""
        assert self.process is not None
        self.process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """All its processes that were ever seen and still run."""
        if self.process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            for child in [root, *root.children(recursive=True)]:
                self._seen.setdefault(child.pid, child)
        return [one for one in self._seen.values() if _runs(one)]

    def get(self, path: str) -> tuple[int, str]:
        """The status and the page at `path`, over a connection of its own."""
        host, port = self.address().rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def address(self) -> str:
        """Where the shop is served."""
        return re.split(r'[\s"]', self.output().split("listener http: http://")[1])[0]

    def ask(self, *command: str) -> str:
        """What another `weaver` command prints."""
        done = self.run(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *command: str, within: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Another `weaver` command beside it, that may fail."""
        return weaver(self._project, self.env, *command, within=within)

    def left(self) -> list[object]:
        """What it has left behind: processes, and files for the time it runs."""
        files = [path for path in self.runtime.rglob("*") if not path.is_dir()]
        return [*self.processes(), *files]

    def record(self) -> registry.Record:
        """What the registry says of it."""
        (path,) = self.state.glob(f"weaver/deployments/{self._app}/*.json")
        return msgspec.json.decode(path.read_bytes(), type=registry.Record)

    def replica(self, name: str) -> ReplicaReport | None:
        """A replica as the manager sees it now, asked without starting a command."""
        groups = ask_status(self.record()).report.groups
        return next((one for group in groups for one in group.replicas if one.id == name), None)

    def status(self) -> dict[str, Any]:
        """The deployment as `weaver status --json` has it."""
        found: list[dict[str, Any]] = json.loads(self.ask("status", self._app, "--json"))
        assert len(found) == 1
        return found[0]

    def replicas(self, group: str) -> dict[str, dict[str, Any]]:
        """The replicas of a group by id."""
        (found,) = [one for one in self.status()["groups"] if one["name"] == group]
        return {replica["id"]: replica for replica in found["replicas"]}

    def close(self) -> None:
        """End everything that was seen to run."""
        if self.process is None:
            return
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(PATIENCE)


@contextlib.contextmanager
def multi_run(project: Path, *arguments: str, app: str = "till", **env: str) -> Generator[MultiRun]:
    """A run that is not started yet, and is gone at the end; `arguments` are the command's."""
    folder = Path(tempfile.mkdtemp(prefix="weaver-mr-"))  # short, for sockets
    run = MultiRun(project, folder, env, *arguments, app=app)
    try:
        yield run
    finally:
        run.close()
        shutil.rmtree(folder)


def project_for_session(factory: pytest.TempPathFactory) -> Path:
    """The shop's project, in a folder that all workers of this run of tests share."""
    return project_in(shared_folder(factory, "multi-run"))


def project_in(folder: Path) -> Path:
    """The shop's project in `folder`, written once for all who share it."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        project = folder / "till"
        if not project.exists():
            project.mkdir()
            for name, text in FILES.items():
                (project / name).write_text(text)
    return project


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a condition, or fail."""
    wait_until(condition, seconds)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
