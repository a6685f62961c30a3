"""`weaver promote`."""

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("promote")
@app_argument
@json_option
def command(*, app: str | None, as_json: bool) -> int:
    """Give everything to the new version of APP now, whatever steps are left.

    Returns when it serves alone. The old version is kept warm as after any rollout.
    """
    from weaver.cli import conclusion
    from weaver.cli.namesakes import meant
    from weaver.cli.steering import steer

    record = meant(app)
    steer(record, "promote")
    return conclusion.wait(record, as_json=as_json)
