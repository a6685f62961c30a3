"""`weaver rollout`."""

import json
import time

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("rollout")
@app_argument
@click.option("-f", "--follow", "following", is_flag=True, help="Until it is over; Ctrl-C leaves.")
@json_option
def command(*, app: str | None, following: bool, as_json: bool) -> int:
    """Show the rollout of APP: both versions, their traffic, requests and latencies, what is next.

    With --follow, the exit code is 1 if the new version is taken back. With --json, an object for
    each change.
    """
    from weaver.cli import conclusion, render_rollout
    from weaver.cli.namesakes import meant
    from weaver.cli.rollout_follow import rollout_of

    record = meant(app)
    if following:
        return conclusion.wait(record, as_json=as_json)
    report = rollout_of(record)
    if as_json:
        click.echo(json.dumps(render_rollout.plain(report), ensure_ascii=False))
        return 0
    from weaver.cli.whole_tables import console_for

    screen = render_rollout.screen(report, time.time())
    console = console_for(screen)
    console.print(screen)
    if report.verdict is not None:
        reason = render_rollout.by_version(report.verdict.what, report)
        console.print(f"because: {reason}", markup=False)
    for text in render_rollout.evidence_lines(report.evidence, report.lines):
        console.print(text, markup=False)
    return 0
