"""`weaver pause`."""

import json
import time

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("pause")
@app_argument
@click.option("--resume", is_flag=True, help="Go on with a rollout that is paused.")
@json_option
def command(*, app: str | None, resume: bool, as_json: bool) -> int:
    """Hold the rollout of APP at the step where it is, until `weaver pause --resume`.

    It is still taken back if the new version fails.
    """
    from weaver.cli import render_rollout
    from weaver.cli.namesakes import meant
    from weaver.cli.rollout_follow import rollout_of
    from weaver.cli.steering import steer

    record = meant(app)
    steer(record, "resume" if resume else "pause")
    report = rollout_of(record)
    if as_json:
        click.echo(json.dumps(render_rollout.plain(report), ensure_ascii=False))
        return 0
    click.echo(f"{render_rollout.title(report)}: {render_rollout.headline(report, time.time())}")
    if not resume:
        click.echo(f"to go on: weaver pause --resume {record.app}")
    return 0
