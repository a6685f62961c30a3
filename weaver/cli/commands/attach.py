"""`weaver attach`."""

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("attach")
@app_argument
@json_option
def command(*, app: str | None, as_json: bool) -> int:
    """Put a new manager in charge of deployment APP, whose manager has gone.

    Replicas go on serving all the while. What was decided before, by `weaver scale` for example,
    holds. Where a manager is in charge already, nothing is done.
    """
    from weaver.cli.taking_over import attach

    return attach(app, as_json=as_json)
