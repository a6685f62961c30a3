"""The deploy lock and the audit log of an application on a host."""

import contextlib
import getpass
import os
import secrets
import socket
from typing import Any

import msgspec

from weaver.deployers.ssh.host_call import TIMEOUT, Call, RemotePython, call


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock, on which machine; `age` and `silent` are seconds since it was taken and
    since the last heartbeat, by the clock of the host.
    """

    owner: str
    host: str
    pid: str
    message: str
    time: float
    age: float
    silent: float


class Entry(msgspec.Struct, frozen=True):
    """One line of the audit log: `who` did `what`, when (Unix seconds of the host's clock)."""

    who: str
    what: str
    time: float = 0.0
    build_id: str = ""
    result: str = ""


def new_token() -> str:
    """What proves that a lock is one's own: the same for all hosts of one deploy."""
    return secrets.token_hex(16)


def lock(
    host: RemotePython, app: str, token: str, message: str, *, steal: bool = False
) -> Holder | None:
    """Take the lock, or fail with HostError "locked", which names the holder.

    With `steal`, it is taken anyhow, and its last holder is returned. Raises Unreachable.
    """
    holder = {
        "owner": _user(),
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "message": message,
    }
    arguments = {"app": app, "token": token, "holder": holder, "steal": steal}
    [found] = call(host, [Call("deploy_lock", "lock", arguments)])
    return msgspec.convert(found["stolen"], Holder | None)


def refuse_held(host: RemotePython, app: str) -> None:
    """Raise HostError "locked" if anybody holds the lock, or Unreachable; nothing is written."""
    call(host, [Call("deploy_lock", "refuse_held", {"app": app})])


def renew(host: RemotePython, app: str, token: str) -> None:
    """Tell that the deploy goes on. Raises HostError "lock lost", and Unreachable."""
    call(host, [Call("deploy_lock", "renew", {"app": app, "token": token})])


def unlock(host: RemotePython, app: str, token: str) -> bool:
    """Give the lock back; false if it was not ours. Raises HostError and Unreachable."""
    [found] = call(host, [Call("deploy_lock", "unlock", {"app": app, "token": token})])
    released: bool = found["released"]
    return released


def holder(host: RemotePython, app: str) -> Holder | None:
    """Who holds the lock. Raises HostError and Unreachable."""
    [found] = call(host, [Call("deploy_lock", "holder", {"app": app})])
    return msgspec.convert(found, Holder | None)


def record(
    host: RemotePython,
    app: str,
    what: str,
    *,
    build_id: str = "",
    result: str,
    timeout: float = TIMEOUT,
) -> None:
    """Write a line of the audit log, within `timeout` seconds. Raises HostError and Unreachable."""
    who = f"{_user()}@{socket.gethostname()}"
    entry: dict[str, Any] = {"who": who, "what": what, "build_id": build_id, "result": result}
    call(host, [Call("audit", "record", {"app": app, "entry": entry})], timeout=timeout)


def audit(host: RemotePython, app: str, most: int = 100) -> tuple[Entry, ...]:
    """The last lines of the audit log, the oldest first. Raises HostError and Unreachable."""
    [found] = call(host, [Call("audit", "entries", {"app": app, "most": most})])
    return msgspec.convert(found, tuple[Entry, ...])


def _user() -> str:
    with contextlib.suppress(KeyError, OSError):  # no such user in a container
        return getpass.getuser()
    return str(os.getuid())
