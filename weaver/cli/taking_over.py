"""A new manager for a deployment whose manager has gone: its envelopes say what it must know."""

import sys
from collections.abc import Collection
from pathlib import Path

import click

from weaver.cli.detached import settled, start_manager, wait_live
from weaver.cli.former import formers_here
from weaver.deployers import registry
from weaver.deployers.manager_client import ask_status, attaching, is_managed, lives
from weaver.errors import Unreachable, WeaverError


def attach(app: str | None, *, as_json: bool) -> int:
    """Put a manager in charge of what runs on this machine without one; the exit code."""
    record = registry.current(app)
    if is_managed(record):
        click.echo(f"{record.app} has a manager already, process {record.pid}: nothing to do")
        return 0
    successor = take_over(record)
    if successor is None:
        raise WeaverError(
            f"nothing of {record.app} runs here any more",
            where=f"deployment {record.deployment}",
            why="neither its manager nor an envelope answers",
            fix=f"close it with `weaver stop {record.app}`, or start it again: weaver deploy",
        )
    status = settled(successor)
    before = _kept(successor)
    if before is not None and (status is None or status.report.state != "live"):
        click.echo(f"{successor.version[:12]} has been taken back meanwhile", err=True)
        successor = before
    return wait_live(successor, follow=False, as_json=as_json)


def _kept(record: registry.Record) -> registry.Record | None:
    """The version before, if its manager is the same: a rollout of both is gone on with."""
    others = [r for r in registry.records(record.app) if r.deployment != record.deployment]
    return next((r for r in reversed(others) if not r.ended and is_managed(r)), None)


def take_over(record: registry.Record) -> registry.Record | None:
    """Start a manager in place of one that has gone; None where no envelope runs. Raises.

    One that runs, but whose socket has been removed, has not gone: that is Unreachable.
    """
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
    return start_manager(command, Task(estate, former=former))


def forget(record: registry.Record) -> None:
    """Note that nothing of a deployment runs any more."""
    registry.ended(record, "lost")


def forget_gone(app: str, hosts: Collection[str]) -> None:
    """Note of deployments to these hosts, on which nothing of `app` runs, that they have ended."""
    for record in registry.records(app):
        known = record.hosts and set(record.hosts) <= set(hosts)
        if known and not record.ended and not is_managed(record):
            forget(record)
