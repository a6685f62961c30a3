"""The releases of an application on a host: list them, make one current, prune."""

import msgspec

from weaver.deployers.ssh.host_call import Call, RemotePython, call

PRUNE_TIMEOUT = 120.0  # seconds
KEEP = 5  # good releases


class Release(msgspec.Struct, frozen=True):
    """One release; `time` and `good` (0 if never) are Unix seconds by the clock of the host.

    `size` is in bytes, with its installation. `complete` means that the file is there.
    """

    build_id: str
    app: str
    time: float
    size: int
    complete: bool
    installed: bool
    good: float
    current: bool
    running: bool


class Pruned(msgspec.Struct, frozen=True):
    """What was removed; `kept` says why by build id, `freed` is in bytes."""

    removed: tuple[str, ...]
    kept: dict[str, str]
    freed: int


def releases(host: RemotePython, app: str = "") -> tuple[Release, ...]:
    """The releases of an application, or of all, the newest first.

    Raises HostError and Unreachable.
    """
    [found] = call(host, [Call("releases", "releases", {"app": app})])
    return msgspec.convert(found, tuple[Release, ...])


def make_current(
    host: RemotePython, app: str, build_id: str, *, good: bool, token: str = ""
) -> str:
    """Make an installed release the current one; `good` says that it was seen to serve.

    Returns the build that was current before, or "". Raises HostError and Unreachable.
    """
    arguments = {"app": app, "build_id": build_id, "good": good, "token": token}
    [found] = call(host, [Call("releases", "make_current", arguments)])
    before: str = found["before"]
    return before


def prune(
    host: RemotePython, app: str, *, keep: int = KEEP, only_tell: bool = False, token: str = ""
) -> Pruned:
    """Remove old releases; never the current, the previous good, the newest, or a running one.

    `keep` counts good ones. With `only_tell`, nothing is removed. Raises HostError and Unreachable.
    """
    arguments = {"app": app, "keep": keep, "only_tell": only_tell, "token": token}
    [found] = call(host, [Call("prune", "prune", arguments)], timeout=PRUNE_TIMEOUT)
    return msgspec.convert(found, Pruned)
