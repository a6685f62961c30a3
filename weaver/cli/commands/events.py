"""`weaver events`."""

import json
import time

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("events")
@app_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@json_option
def command(*, app: str | None, follow: bool, as_json: bool) -> None:
    """Show what has happened to the running deployment of APP: starts, crashes, scaling."""
    import msgspec

    from weaver.cli.following import entries
    from weaver.cli.namesakes import meant
    from weaver.control.operator import GetEvents, HistoryEvent

    for event in entries(meant(app), GetEvents(follow)):
        if not isinstance(event, HistoryEvent):
            continue
        if as_json:
            click.echo(json.dumps(msgspec.to_builtins(event)))
        else:
            clock = time.strftime("%H:%M:%S", time.localtime(event.time))
            click.echo(f"{clock} {event.kind:<10} {event.text}")
