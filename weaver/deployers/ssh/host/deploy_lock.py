"""One deploy of an application at a time: a lease with an owner, which anybody can read or take.

It is no lock of the system, because its holder is on another machine. Nobody loses it by time
alone: the age of the last heartbeat is shown, and a person decides.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from weaver.deployers.ssh.host.deploy_token import check
from weaver.deployers.ssh.host.place import Fault, Place, locked, read_json, write_json


def lock(place: Place, app: str, token: str, holder: dict[str, str], steal: bool) -> dict[str, Any]:
    """Take the lock, or renew it for the holder of `token`.

    `holder` has owner, host, pid and message. With `steal`, it is taken from whoever has it, and
    what they held is returned as `stolen`.
    """
    folder = place.app(app)
    with locked(folder / "guard"):
        found, now = read_json(folder / "lock"), time.time()
        ours = found is not None and found["token"] == token
        if found is not None and not ours and not steal:
            raise _held(folder, found)
        since = found["time"] if found is not None and ours else now
        write_json(folder / "lock", dict(holder, token=token, time=since, heartbeat=now))
    return {"stolen": None if ours or found is None else _shown(found)}


def renew(place: Place, app: str, token: str) -> dict[str, Any]:
    """A sign of life of the holder. Refused if the lock is not theirs any more."""
    folder = place.app(app)
    with locked(folder / "guard"):
        check(folder, token)
        found = read_json(folder / "lock")
        assert found is not None
        write_json(folder / "lock", dict(found, heartbeat=time.time()))
    return {}


def unlock(place: Place, app: str, token: str) -> dict[str, Any]:
    """Give the lock back; one that is held by somebody else stays."""
    folder = place.app(app)
    if not folder.is_dir():
        return {"released": False}
    with locked(folder / "guard"):
        found = read_json(folder / "lock")
        released = found is not None and found["token"] == token
        if released:
            with contextlib.suppress(FileNotFoundError):
                (folder / "lock").unlink()
    return {"released": released}


def holder(place: Place, app: str) -> dict[str, Any] | None:
    """Who holds the lock, since when, and the age of their heartbeat in seconds."""
    found = read_json(place.app(app) / "lock")
    return None if found is None else _shown(found)


def refuse_held(place: Place, app: str) -> dict[str, Any]:
    """Refuse if anybody holds the lock; nothing is written."""
    check_free(place.app(app), "")
    return {}


def check_free(app: Path, token: str) -> None:
    """Refuse what may not happen during a deploy of somebody else."""
    found = read_json(app / "lock")
    if found is not None and found["token"] != token:
        raise _held(app, found)


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """Without the token, which is only its holder's; ages by the clock of the host."""
    now = time.time()
    ages = {"age": max(0.0, now - found["time"]), "silent": max(0.0, now - found["heartbeat"])}
    return dict({key: found[key] for key in ("owner", "host", "pid", "message", "time")}, **ages)


def _held(app: Path, found: dict[str, Any]) -> Fault:
    shown = _shown(found)
    owner, host, pid = shown["owner"], shown["host"], shown["pid"]
    message = shown["message"]
    age, silent = _words(shown["age"]), _words(shown["silent"])
    return Fault(
        "locked",
        f"{app.name} is being deployed by {owner}@{host}",
        str(app / "lock"),
        f"process {pid} has held the lock for {age}, its last sign of life was {silent} ago: "
        f"{message}",
        "wait until it has ended; if it has died, take the lock over with --steal",
    )


def _words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
