"""A PEX unpacked into an environment of its own, once per build id.

This file decides where a release goes and that only a whole one is ever seen. Processes are then
started from it in 12 ms; starting the PEX file itself costs seconds where its cache is cold.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

from weaver.packaging import manifest, places
from weaver.packaging.errors import PexError
from weaver.packaging.suits import unsuited
from weaver.packaging.unpack import UnknownLayout, unpack

INSTALL_TIMEOUT = 300.0  # seconds


def install(pex: Path) -> Path:
    """The Python of the environment that a PEX is unpacked into, made if there is none yet.

    Roles are run as `<python> -I -m weaver.application.main ROLE ...`. Safe to call from several
    processes at once. Raises PexError, and leaves nothing then.
    """
    release = places.release_of(manifest.build_id(pex))
    python = release / "venv" / "bin" / "python"
    if python.exists():
        return python
    reason = unsuited(manifest.read(pex), manifest.read_pex_info(pex)["distributions"])
    if reason:
        raise PexError(
            f"{pex} cannot run here",
            why=reason,
            fix="build it with the Python that runs it, or run it with the one it is built for",
        )
    try:
        release.mkdir(parents=True, exist_ok=True)
        with _alone(release / "lock"):
            if not python.exists():
                _make(pex, release)
    except OSError as error:
        raise PexError(
            f"{pex} cannot be installed",
            where=str(error.filename or release),
            why=error.strerror or str(error),
            fix="free some space there, or set XDG_CACHE_HOME to a folder that you may write to",
        ) from error
    return python


def _make(pex: Path, release: Path) -> None:
    # Nobody else works here, so what lies here is of an installation that was killed.
    work = release / "work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        try:
            unpack(pex, work, compiled=places.cache_root() / "compiled")
        except UnknownLayout:
            shutil.rmtree(work, ignore_errors=True)
            _by_pex_itself(pex, work)
        work.replace(release / "venv")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _by_pex_itself(pex: Path, folder: Path) -> None:
    """The public way, four times slower: 2.7 s of CPU for a first release, 1.4 s for the next."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PEX_", "PYTHON"))}
    environment |= {"PEX_TOOLS": "1", "PEX_ROOT": str(places.cache_root() / "pex")}
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, str(pex), "venv", "--compile", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=INSTALL_TIMEOUT,
    )
    if done.returncode:
        raise PexError(
            f"{pex} cannot be installed",
            why="\n".join(done.stderr.strip().splitlines()[-5:]),
            fix="build it again: weaver build",
        )


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    """Hold a lock that ends with this process, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
