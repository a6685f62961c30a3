"""Where the files of deployments on this machine are.

State that survives a reboot (registry, journal, logs) is in `$XDG_STATE_HOME/weaver`; sockets are
in `$XDG_RUNTIME_DIR/weaver` or, where that is missing or too long for sockets, in a directory of
one's own below the system's temporary one. All have mode 0700.
"""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from weaver.errors import WeaverError

LONGEST_RUNTIME: Final = 48
"""Bytes of `$XDG_RUNTIME_DIR`: a socket's path has 107 at most, and deployments need the rest."""


def state_directory(*parts: str) -> Path:
    """A directory below `$XDG_STATE_HOME/weaver`, made if need be. Raises WeaverError."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return _private(Path(home) / "weaver", *parts)


def runtime_directory(*parts: str) -> Path:
    """A directory for sockets, made if need be: its path is short. Raises WeaverError."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and len(os.fsencode(runtime)) <= LONGEST_RUNTIME and Path(runtime).is_dir():
        return _private(Path(runtime) / "weaver", *parts)
    return _private(Path(tempfile.gettempdir()) / f"weaver-{os.getuid()}", *parts)


def _private(top: Path, *parts: str) -> Path:
    path = top.joinpath(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for made in (top, path):
            _check_owner(made)
    except OSError as error:
        raise WeaverError(
            f"the directory {path} cannot be made or used",
            where=str(path),
            why=error.strerror or str(error),
            fix="free space or correct its permissions; or name another place with XDG_STATE_HOME "
            "and XDG_RUNTIME_DIR",
        ) from error
    return path


def _check_owner(path: Path) -> None:
    """Refuse a directory that somebody else could have put there."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise WeaverError(
            f"{path} is not a directory of yours",
            where=str(path),
            why="sockets in a directory of somebody else could be taken over",
            fix="remove it, or set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories of your own",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
