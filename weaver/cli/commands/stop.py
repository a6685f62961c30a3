"""`weaver stop`."""

import json
from typing import TYPE_CHECKING

import click

from weaver.cli.deployment import app_argument
from weaver.cli.hosts import hosts_of, ssh_option
from weaver.cli.target import json_option

if TYPE_CHECKING:
    from weaver.deployers.registry import Record


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
    from weaver.cli.stopping import stop
    from weaver.cli.taking_over import unended
    from weaver.deployers.lost_versions import close_lost
    from weaver.deployers.manager_client import is_managed

    record = unended(app)
    if not is_managed(record):
        successor = _taken_over(record, ssh, as_json=as_json)
        if successor is None:
            close_lost(record)
            said = f"{record.app}: nothing of it runs any more; its deployment is closed"
            _say(record, said, as_json=as_json)
            return 0
        record = successor
    left = stop(record, at_once=at_once)
    if left:
        _say_left(record, left, as_json=as_json)
        return 1
    _say(record, f"{record.app}: stopped", as_json=as_json)
    return 0


def _taken_over(record: "Record", ssh: str | None, *, as_json: bool) -> "Record | None":
    """The deployment under a new manager; None where nothing of it runs. Raises WeaverError."""
    from weaver.cli.taking_over import take_over

    hosts = hosts_of(ssh, quiet=as_json) if record.hosts else None
    if hosts is not None:
        from weaver.cli.ssh_attach import take_over_hosts

        return take_over_hosts(record.app, hosts, quiet=as_json)
    return take_over(record)


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
