"""The directory of weaver on a host: where things lie, how they are written, who may write now.

Decides modes (0700 and 0600 whatever the umask), that files appear whole, and that every wait for
a lock ends. Layout: blobs/, releases/<build id>/{release.json,app.pex,venv,good,running},
apps/<app>/{current,lock,audit.jsonl}, compiled/, pex/, run/.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

PATIENCE = 60.0  # seconds that another program may hold a lock


class Fault(Exception):
    """What is wrong, where, why, and what helps; `kind` is for programs."""

    def __init__(self, kind: str, what: str, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.kind, self.what, self.where, self.why, self.fix = kind, what, where, why, fix


class Place:
    """The directory, by default .weaver of the home; `source` is what calls read data from.

    It ends the process where nothing comes for `patience` seconds.
    """

    def __init__(self, directory: str, source: BinaryIO, patience: int) -> None:
        os.umask(0o077)
        self._source = source
        self._patience = patience
        self.root = Path("~").expanduser() / Path(directory or ".weaver").expanduser()
        self.blobs = self.root / "blobs"
        self.releases = self.root / "releases"
        self.apps = self.root / "apps"
        self.pex = self.root / "pex"
        if self.root.exists():
            found = self.root.stat()
            if found.st_uid != os.getuid():
                raise Fault(
                    "foreign",
                    "the directory of weaver belongs to another user",
                    str(self.root),
                    "its files are run, so only their owner may be able to write them",
                    "remove it, or choose another with dir= in the list of hosts",
                )
            if found.st_mode & 0o077:
                self.root.chmod(0o700)

    def read(self, size: int) -> bytes:
        """The next bytes that the caller has sent; fewer where there are no more."""
        signal.alarm(self._patience)
        data = self._source.read(size)
        signal.alarm(0)
        return data

    def release(self, build_id: str) -> Path:
        """The folder of a release, which need not exist."""
        if not re.fullmatch("[0-9a-f]{64}", build_id):
            raise Fault("usage", f"{build_id!r} is no build id")
        return self.releases / build_id

    def app(self, name: str) -> Path:
        """The folder of an application, which need not exist."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
            raise Fault("usage", f"{name!r} cannot be the name of an application")
        return self.apps / name

    def known(self, build_id: str) -> dict[str, Any]:
        """What is known of a release that was announced here."""
        found = read_json(self.release(build_id) / "release.json")
        if found is None:
            raise Fault(
                "unknown",
                f"there is no release {build_id[:12]}",
                str(self.releases),
                "it was never sent here, or has been pruned",
                "deploy it again",
            )
        return found

    @contextlib.contextmanager
    def using(self, alone: bool = False) -> Generator[None, None, None]:
        """Nothing is pruned meanwhile; with `alone`, nothing else happens in the directory."""
        with locked(self.root / "store.lock", shared=not alone):
            yield


@contextlib.contextmanager
def locked(
    path: Path, shared: bool = False, patience: float = PATIENCE
) -> Generator[None, None, None]:
    """Hold a lock on a file, which the system gives back when this process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Fault(
                        "busy",
                        "another weaver is at work on this host",
                        str(path),
                        f"it has held the lock for {patience:.0f} seconds",
                        "wait until it has ended, and try again",
                    ) from None
                time.sleep(0.05)
        yield


def write(path: Path, data: bytes, durable: bool = False) -> None:
    """Let a file appear whole, or leave what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document that survives a crash of the host."""
    write(path, json.dumps(value).encode(), durable=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON document; None if there is none, or not a whole one."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found
