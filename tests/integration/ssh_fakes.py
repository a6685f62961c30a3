"""A host of the SSH deployer that is a directory here, and a PEX that installs at once."""

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from weaver.deployers.ssh.host_call import RemotePython
from weaver.deployers.ssh.remote import Completed
from weaver.errors import Unreachable

PYTHON = str(Path(sys.executable).resolve())

INSTALLER = """\
import os, sys
assert os.environ["PEX_TOOLS"] == "1" and sys.argv[1:3] == ["venv", "--compile"], sys.argv
target = sys.argv[3]
with open(os.environ["PEX_ROOT"] + ".log", "a") as log:
    log.write(target + "\\n")
os.makedirs(os.environ["PEX_ROOT"], exist_ok=True)
os.makedirs(target + "/bin")
os.symlink(sys.executable, target + "/bin/python")
"""


class LocalRemote:
    """Runs commands here with a home of their own; `sent` counts bytes, `runs` round trips.

    `break_after` bytes the connection is lost once.
    """

    def __init__(self, home: Path, *, name: str = "web1", shell: str = "/bin/sh") -> None:
        self.home = home
        self._name = name
        self.shell = shell
        self.prelude = ""
        self.prefix: tuple[str, ...] = ()
        self.sent = 0
        self.runs = 0
        self.break_after: int | None = None

    @property
    def name(self) -> str:
        return self._name

    def run(
        self, command: str, *, stdin: bytes | Iterable[bytes] = b"", timeout: float
    ) -> Completed:
        self.runs += 1
        process = subprocess.Popen(
            [*self.prefix, self.shell, "-c", self.prelude + command],
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin"},
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            watchdog = threading.Timer(timeout, process.kill)
            watchdog.start()
            try:
                lost = self._feed(process, stdin)
                stdout, stderr = process.communicate()
            finally:
                watchdog.cancel()
                watchdog.join()
        if lost:
            raise Unreachable(f"{self.name} does not answer")
        return Completed(process.returncode, stdout, stderr)

    def _feed(self, process: subprocess.Popen[bytes], stdin: bytes | Iterable[bytes]) -> bool:
        assert process.stdin is not None
        for piece in [stdin] if isinstance(stdin, bytes) else stdin:
            if self.break_after is not None and self.sent + len(piece) > self.break_after:
                self.break_after = None
                return True
            try:
                process.stdin.write(piece)
                process.stdin.flush()
            except BrokenPipeError:
                return False
            self.sent += len(piece)
        return False


def host_at(home: Path, *, shell: str = "/bin/sh", name: str = "web1") -> RemotePython:
    home.mkdir(parents=True, exist_ok=True)
    return RemotePython(LocalRemote(home, name=name, shell=shell), PYTHON)


def local(host: RemotePython) -> LocalRemote:
    assert isinstance(host.remote, LocalRemote)
    return host.remote


def noise(seed: str, size: int) -> bytes:
    """Bytes that cannot be compressed, always the same."""
    blocks = (hashlib.sha256(f"{seed}{n}".encode()).digest() for n in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def members(**changed: str) -> Iterator[tuple[str, bytes]]:
    yield ".bootstrap/pex/boot.py", noise("boot", 200_000)
    yield ".deps/big-1-py3-none-any.whl", noise("wheel", 700_000)
    yield "PEX-INFO", b"{}"
    yield "__main__.py", INSTALLER.encode()
    for n in range(60):
        yield f"shop/part{n:02}.py", noise(changed.get(f"part{n:02}", f"part{n}"), 900)
    yield "weaver_manifest.json", b"{}"


def write_pex(
    path: Path, *, content: Iterable[tuple[str, bytes]] | None = None, **changed: str
) -> Path:
    """A zip file with a stub before it, as pex makes them."""
    path.write_bytes(b"#!/bin/sh\n" + b"# stub\n" * 500)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        for name, data in content or members(**changed):
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def tree_of(folder: Path) -> dict[str, int]:
    """Modes by relative path."""
    return {
        str(path.relative_to(folder)): os.lstat(path).st_mode & 0o777
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink()
    }
