"""`weaver abort`."""

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("abort")
@app_argument
@json_option
def command(*, app: str | None, as_json: bool) -> int:
    """End the rollout of APP and give everything back to the old version.

    One that is over is taken back by `weaver rollback`.
    """
    from weaver.cli.namesakes import meant
    from weaver.cli.steering import steer
    from weaver.cli.taking_back import wait_taken_back

    record = meant(app)
    steer(record, "abort")
    return wait_taken_back(record, as_json=as_json)
