"""`weaver stop`."""

import json
import time
from typing import TYPE_CHECKING

import click

from weaver.cli.deployment import app_argument
from weaver.cli.hosts import hosts_of, ssh_option
from weaver.cli.target import json_option

if TYPE_CHECKING:
    from weaver.deployers.registry import Record

NOTED = 5.0
"""Seconds for the manager to note the end."""


@click.command("stop")
@app_argument
@ssh_option
@click.option("--now", "at_once", is_flag=True, help="Do not wait for calls in flight.")
@json_option
def command(*, app: str | None, ssh: str | None, at_once: bool, as_json: bool) -> int:
    """Stop APP in order, all its versions; returns when every replica has ended.

    Where its manager has gone, a new one takes over first (over SSH, --ssh or `[ssh] hosts` names
    the hosts); where nothing of it runs any more, that is noted. Hosts that cannot be reached, and
    so may still run it, are named; the exit code is 1 then.
    """
    from weaver.cli.taking_over import forget, take_over
    from weaver.control.operator import StopDeployment
    from weaver.deployers import registry
    from weaver.deployers.manager_client import ask, is_managed

    record = registry.current(app)
    if not is_managed(record) and record.hosts:
        hosts = hosts_of(ssh, quiet=as_json)
        if hosts is not None:
            from weaver.cli.ssh_attach import take_over_hosts

            app = record.app
            record = take_over_hosts(app, hosts, quiet=as_json)
    if not is_managed(record):
        successor = take_over(record)
        if successor is None:
            forget(record)
            said = f"{record.app}: nothing of it runs any more; its deployment is closed"
            _say(record, said, as_json=as_json)
            return 0
        record = successor
    versions = [r for r in registry.records(record.app) if not r.ended and is_managed(r)]
    for _ in ask(record, StopDeployment(at_once), timeout=None):
        pass
    left = tuple(dict.fromkeys(host for each in versions for host in _noted(each).unended))
    if left:
        _say_left(record, left, as_json=as_json)
        return 1
    _say(record, f"{record.app}: stopped", as_json=as_json)
    return 0


def _noted(record: "Record") -> "Record":
    """The record once its manager has noted the end, which it does a moment after the end."""
    from weaver.deployers import registry

    deadline = time.monotonic() + NOTED
    while time.monotonic() < deadline:
        found = registry.latest(record)
        if found.ended or found.unended:
            return found
        time.sleep(0.01)
    return record


def _say(record: "Record", text: str, *, as_json: bool) -> None:
    ended = {"app": record.app, "deployment": record.deployment, "state": "stopped"}
    click.echo(json.dumps(ended) if as_json else text)


def _say_left(record: "Record", left: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        ended = {"app": record.app, "deployment": record.deployment, "state": "unended"}
        click.echo(json.dumps({**ended, "unended": list(left)}))
        return
    click.echo(f"{record.app}: stopped, but not on {', '.join(left)}: it may still run there")
    click.echo(f"once they can be reached: weaver stop {record.app} --ssh HOSTS")
