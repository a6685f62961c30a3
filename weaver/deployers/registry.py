"""Which deployments this machine knows: one small file each, for the command line to find them.

A record is written when a manager starts and when its deployment ends. Whether the manager lives is
asked of the manager, never believed of the file; only a run in the foreground whose process is gone
has ended for sure.
"""

import os
import re
import shutil
import time
from pathlib import Path

import msgspec

from weaver.control.ingress import FailedRequest
from weaver.control.messages import Fault
from weaver.deployers import left_logs
from weaver.deployers.directories import state_directory
from weaver.errors import UsageError, WeaverError, did_you_mean

KEPT = 50
"""Records of ended deployments that are kept for each application."""

LOGS_KEPT = 10
"""Of those, how many keep the log of the application: it can be 8 MiB."""


class Shift(msgspec.Struct, frozen=True):
    """From `time` on, a version has had `share` (0 to 1) of the requests, in this phase."""

    time: float
    phase: str
    share: float


class Listed(msgspec.Struct, frozen=True):
    """What the list of hosts says of one that decides about places; as in `HostSpec`."""

    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    slots: int | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment; times in seconds since the epoch, `ended` 0 while it runs.

    `socket` is the manager's, `pid` its process; `result` is "live", "failed", "stopped", or
    "fenced" where a manager on another machine has taken over. `hosts` are those it runs on, where
    that is not this machine, as they were `listed`. One that has ended but for `unended`, which may
    still run replicas, counts as not ended. `good` is when it was seen to serve as it should, 0 for
    never; a result can also be "replaced", "withdrawn", "rolled back", "aborted" or "superseded",
    by a rollout, whose steps are `shifts`. `evidence` are requests that failed, and `lines` the
    last ones of its log, where it was taken back or has failed.
    """

    app: str
    deployment: str
    version: str
    pid: int
    socket: str
    started: float
    ended: float = 0.0
    result: str = ""
    foreground: bool = False
    user: str = ""
    revision: str = ""
    fault: Fault | None = None
    hosts: tuple[str, ...] = ()
    listed: dict[str, Listed] = {}
    unended: tuple[str, ...] = ()
    good: float = 0.0
    shifts: tuple[Shift, ...] = ()
    evidence: tuple[FailedRequest, ...] = ()
    lines: tuple[str, ...] = ()


def write(record: Record) -> None:
    """Keep a record, in place of an earlier one of the same deployment. Raises WeaverError."""
    folder = state_directory("deployments", safe(record.app))
    path = folder / f"{safe(record.deployment)}.json"
    try:
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(msgspec.json.encode(record))
        part.replace(path)
    except OSError as error:
        raise WeaverError(
            f"the record of deployment {record.deployment} cannot be written",
            where=str(path),
            why=error.strerror or str(error),
            fix="free space, or correct the permissions of the directory",
        ) from error
    _prune(folder)


def ended(
    record: Record, result: str, fault: Fault | None = None, unended: tuple[str, ...] = ()
) -> Record:
    """Note how a deployment ended; it is not over on hosts that may still run it.

    Returns the record as it is now.
    """
    when = 0.0 if unended else time.time()
    now = msgspec.structs.replace(record, ended=when, result=result, fault=fault, unended=unended)
    write(now)
    return now


def latest(record: Record) -> Record:
    """The record of the same deployment as it is now."""
    found = [r for r in records(record.app) if r.deployment == record.deployment]
    return found[0] if found else record


def records(app: str | None = None) -> list[Record]:
    """All known deployments, oldest first; unreadable files are left out."""
    folder = state_directory("deployments")
    found = [_read(path) for path in folder.glob(f"{safe(app) if app else '*'}/*.json")]
    return sorted((r for r in found if r is not None), key=lambda record: record.started)


def current(app: str | None) -> Record:
    """The newest deployment of an application that has not ended.

    Without a name, the only one there is; "NAME@VERSION" is a version, by the beginning of its
    build id or deployment id. Raises UsageError that names those there are.
    """
    app, _, version = (app or "").partition("@")
    app = app or None
    if app is not None and version:
        return _version(app, version)
    running = {r.app: r for r in records() if not r.ended}
    if app is not None and app in running:
        return running[app]
    names = ", ".join(sorted(running)) or "none"
    if app is None and len(running) == 1:
        return next(iter(running.values()))
    if app is None:
        raise UsageError(
            "no application runs here" if not running else "several applications run here",
            why=f"running: {names}",
            fix="start one with `weaver deploy`" if not running else "name one of them",
        )
    latest = records(app)[-1:]
    if latest and latest[0].result == "fenced":
        raise UsageError(
            f"{app} has a manager on another machine",
            where=f"deployment {latest[0].deployment}",
            why="it has taken over from the one here",
            fix=f"use it there, or take over in turn: weaver attach {app} --ssh HOSTS --steal",
        )
    near = did_you_mean(app, running)
    raise UsageError(
        f'no application called "{app}" runs here',
        why=f"running: {names}",
        fix=near
        if near.startswith("did you mean")
        else "start it with `weaver deploy` or `weaver multi run`",
    )


def _version(app: str, version: str) -> Record:
    found = [r for r in reversed(records(app)) if not r.ended]
    for record in found:
        if record.version.startswith(version) or record.deployment == version:
            return record
    names = ", ".join(record.version[:12] for record in found) or "none"
    raise UsageError(
        f"no version {version} of {app} runs here",
        why=f"running: {names}",
        fix="`weaver status` shows all" if found else f"see what did: weaver history {app}",
    )


def _read(path: Path) -> Record | None:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None
    if found.foreground and not found.ended and not _exists(found.pid):
        # All of it ends with this process, which was killed before it could say so.
        return msgspec.structs.replace(found, ended=found.started, result="lost")
    return found


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _prune(folder: Path) -> None:
    known = [(r, path) for path in folder.glob("*.json") if (r := _read(path)) and r.ended]
    known.sort(key=lambda entry: entry[0].started)
    for record, _ in known[:-LOGS_KEPT]:
        left_logs.remove(log_folder(record))
    for record, path in known[:-KEPT]:
        path.unlink(missing_ok=True)
        log = state_directory("logs", record.app) / f"{record.deployment}.log"
        log.unlink(missing_ok=True)
        shutil.rmtree(log_folder(record), ignore_errors=True)


def log_folder(record: Record) -> Path:
    """Where the log of the application is kept, beside the journal of its managers."""
    return state_directory("journals", record.app) / record.deployment


def safe(name: str) -> str:
    """A name as that of a file."""
    return re.sub(r"[^\w.-]", "_", name)
