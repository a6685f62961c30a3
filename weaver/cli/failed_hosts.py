"""Which hosts a deploy has failed on, by application: for `--limit @failed` of a later one."""

import contextlib
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weaver.deployers.directories import state_directory
from weaver.errors import UsageError

if TYPE_CHECKING:
    from weaver.deployers.ssh.inventory import Host

FAILED: Final = "@failed"
"""What `--limit` calls them."""


def failed_of(app: str) -> tuple[str, ...]:
    """The names of the hosts that the last deploys to them have failed on."""
    try:
        found: list[str] = json.loads(_path(app).read_bytes())
    except (OSError, ValueError):
        return ()
    return tuple(found)


def remember(app: str, tried: Collection[str], failed: Collection[str]) -> None:
    """Note how a deploy went: of those that it tried, these have failed. Raises WeaverError."""
    names = sorted({*failed_of(app)} - {*tried} | {*failed})
    with contextlib.suppress(OSError):  # a full disk here is nothing to fail a deploy for
        if names:
            _path(app).write_text(json.dumps(names))
        else:
            _path(app).unlink(missing_ok=True)


def only_failed(app: str, hosts: "Sequence[Host]") -> "tuple[Host, ...]":
    """Those of the hosts that are remembered. Raises UsageError where none of them is."""
    names = failed_of(app)
    found = tuple(host for host in hosts if host.name in names)
    if not found:
        raise UsageError(
            f"no deploy of {app} has failed on these hosts",
            where=f"--limit {FAILED}",
            why=f"remembered as failed: {', '.join(names) or 'none'}",
            fix="leave --limit out",
        )
    return found


def _path(app: str) -> Path:
    name = re.sub(r"[^\w.-]", "_", app)
    return state_directory("hosts") / f"{name}.failed.json"
