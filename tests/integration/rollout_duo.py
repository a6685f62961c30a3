"""An application of two components that tell their version, deployed again and again under load."""

import collections
import contextlib
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import psutil
from duo_sources import CODE, TOML
from plain_client import PlainClient
from waiting import wait_until

from weaver.control.rollout import GetRollout, RolloutReport, Steer
from weaver.deployers.manager_client import ask
from weaver.deployers.registry import Record
from weaver.errors import Unreachable

PATIENCE: Final = 100.0
"""Seconds until what must happen counts as failed: builds are part of it, on a busy machine."""


class Duo:
    """The application's project, and the machine that it is deployed from."""

    def __init__(self, folder: Path, caches: Path, environ: dict[str, str] | None = None) -> None:
        self.project = folder / "duo"
        self.project.mkdir()
        self.needs()
        self.posted = folder / "posted"
        self.state = folder / "state"
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o700)
        self.env = {
            **os.environ,
            "XDG_STATE_HOME": str(self.state),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CACHE_HOME": str(caches / "cache"),
            "PEX_ROOT": str(caches / "pex"),
            **(environ or {}),
        }
        self.address = ""
        self.listen = "127.0.0.1:0"
        self.options: tuple[str, ...] = ()
        self._pids: set[int] = set()

    def needs(self, *packages: str) -> None:
        """Depend on these."""
        described = f'[project]\nname = "duo"\nversion = "1"\ndependencies = {list(packages)}\n'
        (self.project / "pyproject.toml").write_text(described)

    def write(
        self,
        version: str,
        *,
        fails: int = 0,
        start: str = "",
        replicas: int = 2,
        stock: int = 1,
        ingress: str = "shared",
        start_timeout: str = "1m",
        **rollout: Any,
    ) -> Self:
        """The sources of a version; of its answers, every one in `fails` is a failure."""
        wanted = {
            "steps": ["50%", "100%"],
            "pause": "700ms",
            "keep_warm": "2s",
            **rollout,
        }
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in wanted.items())
        (self.project / "weaver.toml").write_text(
            TOML.format(
                replicas=replicas,
                stock=stock,
                listen=self.listen,
                ingress=ingress,
                start_timeout=start_timeout,
                rollout=lines,
            )
        )
        code = CODE.format(version=version, fails=fails, start=start, posted=str(self.posted))
        (self.project / "duo.py").write_text(code)
        return self

    def elsewhere(self) -> "Duo":
        """Another machine that knows nothing of it; what runs is cleared by the first one."""
        other = copy.copy(self)
        folder = self.project.parent / "elsewhere"
        other.state, other.runtime = folder / "state", folder / "run"
        other.runtime.mkdir(mode=0o700, parents=True)
        other.env = self.env | {
            "XDG_STATE_HOME": str(other.state),
            "XDG_RUNTIME_DIR": str(other.runtime),
        }
        return other

    def command(self, *words: str, within: float = 100) -> subprocess.CompletedProcess[str]:
        """A command of weaver, which may fail."""
        return subprocess.run(
            [sys.executable, "-m", "weaver", *words],
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def deploy(self) -> subprocess.CompletedProcess[str]:
        """`weaver deploy`; returns when it has ended."""
        done = self.command("deploy", *self.options)
        if "listener http: http://" in done.stdout:
            self.address = done.stdout.split("listener http: http://")[1].split()[0]
        self.note()
        return done

    @contextlib.contextmanager
    def beside(self, *words: str) -> Generator["subprocess.Popen[str]"]:
        """A command of weaver, beside the test; ended with the block."""
        process = subprocess.Popen(
            [sys.executable, "-m", "weaver", *words],
            cwd=self.project,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def deploying(self) -> contextlib.AbstractContextManager["subprocess.Popen[str]"]:
        """`weaver deploy`, beside the test; ended with the block."""
        return self.beside("deploy", *self.options)

    def records(self) -> list[Record]:
        """What this machine knows of it, the newest first."""
        paths = self.state.glob("weaver/deployments/duo/*.json")
        found: list[Record] = []
        for path in paths:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                found.append(msgspec.json.decode(path.read_bytes(), type=Record))
        return sorted(found, key=lambda record: -record.started)

    def running(self) -> list[Record]:
        """Those that have not ended."""
        return [record for record in self.records() if not record.ended]

    def rollout(self) -> RolloutReport:
        """The rollout now; raises Unreachable."""
        for answer in ask(self.running()[0], GetRollout()):
            if isinstance(answer, RolloutReport):
                return answer
        raise Unreachable("no answer")

    def reaches(self, *phases: str, seconds: float = PATIENCE) -> None:
        """Wait until the rollout is in one of these phases."""

        def there() -> bool:
            with contextlib.suppress(Unreachable, IndexError):
                return self.rollout().phase in phases
            return False

        until(there, seconds)

    def steer(self, action: Any) -> None:
        for _ in ask(self.running()[0], Steer(action)):
            pass

    def kill_manager(self) -> None:
        """SIGKILL, as a machine does that goes down."""
        pids = {record.pid for record in self.running()}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not any(map(_runs, pids)))

    def note(self) -> None:
        """Remember every process of it."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("XDG_RUNTIME_DIR") == str(self.runtime):
                    self._pids.add(process.pid)

    def processes(self) -> set[int]:
        """Those of them that run."""
        self.note()
        return {pid for pid in self._pids if _runs(pid)}

    def ingress_workers(self) -> int:
        """How many processes of an ingress run."""
        count = 0
        for pid in self.processes():
            with contextlib.suppress(psutil.Error):
                count += "weaver.ingress.main" in psutil.Process(pid).cmdline()
        return count

    def clear(self) -> None:
        """End everything that was seen to run."""
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


class Load:
    """Clients that ask all the time and forgive nothing; use it as a context manager.

    Half of them keep their connections, the others make a new one for each request. An answer at
    "/slow" takes a while. Each client calls `enter` first.
    """

    def __init__(
        self,
        address: str,
        clients: int = 4,
        path: str = "/",
        pause: float = 0.02,
        enter: Callable[[], None] | None = None,
    ) -> None:
        self.answers: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.mixed: list[str] = []
        self._address = address
        self._path = path
        self._pause = pause
        self._enter = enter
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(bool(n % 2),)) for n in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def requests(self) -> int:
        """How many have been answered."""
        with self._lock:
            return self.answers.total()

    def sees(self, version: str, seconds: float = PATIENCE) -> None:
        """Wait until a version has answered from now on."""
        before = self.answers[version]
        until(lambda: self.answers[version] > before, seconds)

    def gets(self, version: str, least: float, most: float) -> None:
        """Wait until a version has such a share of the next 50 answers."""

        def share() -> float:
            before, all_before = self.answers[version], self.requests
            until(lambda: self.requests >= all_before + 50)
            return (self.answers[version] - before) / (self.requests - all_before)

        until(lambda: least <= share() <= most)

    def _ask(self, keep: bool) -> None:
        if self._enter is not None:
            self._enter()
        client = PlainClient(self._address, PATIENCE)
        while not self._over.is_set():
            try:
                self._note(*client.get(self._path))
            except OSError as error:
                with self._lock:
                    self.failures.append(f"{'kept' if keep else 'new'}: {error!r}")
            if not keep:
                client.close()
            self._over.wait(self._pause)
        client.close()

    def _note(self, status: int, text: str) -> None:
        front, _, stock = text.partition(" ")
        with self._lock:
            if front != stock:
                self.mixed.append(text)
            if status != 200:
                self.failures.append(f"{status} {text}")
            self.answers[front] += 1


@contextlib.contextmanager
def duo_in(caches: Path, environ: dict[str, str] | None = None) -> Generator[Duo]:
    """The application, not deployed yet; nothing of it is left at the end."""
    folder = Path(tempfile.mkdtemp(prefix="weaver-ro-"))  # short, for sockets
    duo = Duo(folder, caches, environ)
    try:
        yield duo
    finally:
        duo.clear()
        shutil.rmtree(folder)


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a condition, or fail."""
    wait_until(condition, seconds)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
