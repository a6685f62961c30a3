"""A new manager for a deployment whose manager has gone: its envelopes say what it must know."""

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weaver.cli.attached import wait_attached
from weaver.cli.deployment import plain_status
from weaver.cli.detached import start_manager
from weaver.cli.former import formers_here
from weaver.cli.namesakes import meant
from weaver.deployers import registry
from weaver.deployers.lost_versions import close_lost
from weaver.deployers.manager_client import ask_status, attaching, is_managed, lives
from weaver.errors import Unreachable, WeaverError

if TYPE_CHECKING:
    from weaver.deployers.manager_process import Task


def attach(app: str | None, *, as_json: bool) -> int:
    """Put a manager in charge of what runs on this machine without one; the exit code."""
    record = unended(app)
    if is_managed(record):
        text = f"{record.app} has a manager already, process {record.pid}: nothing to do"
        click.echo(json.dumps(plain_status(ask_status(record)), indent=2) if as_json else text)
        return 0
    order = _successor_of(record)
    if order is None:
        raise WeaverError(
            f"nothing of {record.app} runs here any more",
            where=f"deployment {record.deployment}",
            why="neither its manager nor an envelope answers",
            fix=f"close it with `weaver stop {record.app}`, or start it again: weaver deploy",
        )
    return wait_attached(start_manager(*order), order[1], as_json=as_json)


def unended(app: str | None) -> registry.Record:
    """The newest deployment, unless it ends as its manager is asked for: then the one before."""
    while True:
        record = meant(app)
        if is_managed(record) or not registry.latest(record).ended:
            return record


def take_over(record: registry.Record) -> registry.Record | None:
    """Start a manager in place of one that has gone; None where no envelope runs. Raises.

    One that runs, but whose socket has been removed, has not gone: that is Unreachable.
    """
    order = _successor_of(record)
    return start_manager(*order) if order is not None else None


def _successor_of(record: registry.Record) -> "tuple[list[str], Task] | None":
    """Command and task of a new manager; None where no envelope runs. Raises as `take_over`."""
    from weaver.deployers.manager_process import Task

    if lives(record.pid) and not Path(record.socket).exists():
        ask_status(record)
    if record.hosts:
        raise Unreachable(
            f"the manager of {record.app} has gone",
            where=f"deployment {record.deployment} on {', '.join(record.hosts)}",
            why="its replicas serve on without it; those hosts know how to go on",
            fix=f"put a new manager in charge first: {attaching(record)}",
        )
    if record.foreground:
        return None  # its replicas have ended with their manager
    found = formers_here(record.app)
    if not found:
        return None
    estate, former = found[0].estate, found[1:]
    python = estate.command[0] if estate.command else sys.executable
    command = [python, "-I", "-m", "weaver.application.main", "manager"]
    return command, Task(estate, former=former)


def forget_gone(app: str, hosts: Collection[str], runs: Collection[str] = ()) -> None:
    """Note of deployments to these hosts that they have ended, but for those in `runs`.

    Nothing else of `app` runs there; what a manager here has is left to it.
    """
    for record in registry.records(app):
        known = record.hosts and set(record.hosts) <= set(hosts)
        gone = known and record.deployment not in runs and not record.ended
        if gone and not is_managed(record):
            close_lost(record)
