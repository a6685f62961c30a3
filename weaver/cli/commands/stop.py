"""`weaver stop`."""

import json
from typing import TYPE_CHECKING

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option

if TYPE_CHECKING:
    from weaver.deployers.registry import Record


@click.command("stop")
@app_argument
@click.option("--now", "at_once", is_flag=True, help="Do not wait for calls in flight.")
@json_option
def command(*, app: str | None, at_once: bool, as_json: bool) -> None:
    """Stop the running deployment of APP in order; returns when every replica has ended.

    Where its manager has gone, a new one takes over first; where nothing of it runs any more, that
    is noted.
    """
    from weaver.cli.taking_over import forget, take_over
    from weaver.control.operator import StopDeployment
    from weaver.deployers import registry
    from weaver.deployers.manager_client import ask, is_managed

    record = registry.current(app)
    if not is_managed(record):
        successor = take_over(record)
        if successor is None:
            forget(record)
            said = f"{record.app}: nothing of it runs any more; its deployment is closed"
            _say(record, said, as_json=as_json)
            return
        record = successor
    for _ in ask(record, StopDeployment(at_once), timeout=None):
        pass
    _say(record, f"{record.app}: stopped", as_json=as_json)


def _say(record: "Record", text: str, *, as_json: bool) -> None:
    ended = {"app": record.app, "deployment": record.deployment, "state": "stopped"}
    click.echo(json.dumps(ended) if as_json else text)
