"""Which deployment a name means where several that know nothing of one another have it.

The versions of a rollout share a manager, and are one application; what runs twice has two.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from weaver.cli.deployment import ago
from weaver.deployers import registry
from weaver.deployers.manager_client import lives

if TYPE_CHECKING:
    from weaver.deployers.registry import Record


def meant(app: str | None) -> "Record":
    """The deployment that "NAME" or "NAME@VERSION" means; if there are others, they are told.

    Raises UsageError that names those there are.
    """
    record = registry.current(app)
    for text in lines_of(record, namesakes(record, app)):
        click.echo(text, err=True)
    return record


def namesakes(record: "Record", app: str | None) -> "list[Record]":
    """What else these words could mean, the newest first, by managers that run."""
    version = (app or "").partition("@")[2]
    if version == record.deployment:
        return []
    found: dict[int, Record] = {}
    for other in registry.records(record.app):
        if not other.ended and other.pid != record.pid and other.version.startswith(version):
            found[other.pid] = other  # the newest of a manager
    return [other for pid, other in reversed(found.items()) if lives(pid)]


def lines_of(record: "Record", others: "Sequence[Record]") -> list[str]:
    """Which one it is, and how the others are named; nothing where there are none."""
    if not others:
        return []
    name = record.app
    first = f"{len(others) + 1} deployments called {name} run here, each by itself"
    return [
        f"{first}; {name} alone is the newest, {_named(record)}",
        *(f"name it to mean the other one: {_named(other)}" for other in others),
    ]


def _named(record: "Record") -> str:
    where = "in the foreground, " if record.foreground else ""
    since = ago(time.time() - record.started)
    return f"{record.app}@{record.deployment} ({where}process {record.pid}, since {since})"
