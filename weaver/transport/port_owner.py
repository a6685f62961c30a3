"""Who listens on a TCP port of this host, as far as this user may see.

This file decides how the answer is found (Linux: /proc) and worded. It never fails: what cannot
be read is simply not known.
"""

import os
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"  # the state column of /proc/net/tcp
_COMMAND_LENGTH = 80


def describe_port_owner(port: int) -> str:
    """One clause such as "held by pid 4711 (python app.py)", or a hint if it is not known."""
    inodes = set(_listening_inodes(port))
    pid = _owner_of(inodes) if inodes else None
    if pid is None:
        return f"another process holds port {port} (its owner is not visible to this user)"
    if pid == os.getpid():
        return "this process itself already listens there"
    return f"held by pid {pid} ({_command_of(pid)})"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def _owner_of(inodes: set[str]) -> int | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(entry.readlink()) in wanted for entry in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue  # it has ended, or belongs to someone else
    return None


def _command_of(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "unknown command"
    program, _, arguments = raw.replace(b"\0", b"\n", 1).decode(errors="replace").partition("\n")
    # Without its folder: paths of releases are longer than what is shown.
    command = " ".join(f"{Path(program).name} {arguments}".replace("\0", " ").split())
    return command[:_COMMAND_LENGTH] or "unknown command"
