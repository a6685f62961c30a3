"""`weaver metrics`."""

import json

import click

from weaver.cli.deployment import app_argument, plain_status
from weaver.cli.target import json_option


@click.command("metrics")
@app_argument
@json_option
def command(*, app: str | None, as_json: bool) -> None:
    """Print the metrics of the running deployment of APP in Prometheus' text format."""
    from weaver.cli.namesakes import meant
    from weaver.deployers.manager_client import ask_status
    from weaver.telemetry.prometheus import prometheus

    status = ask_status(meant(app))
    if as_json:
        click.echo(json.dumps(plain_status(status)["methods"], indent=2))
        return
    report = status.report
    labels = {"app": report.app, "version": report.version, "deployment": report.deployment}
    click.echo(prometheus(status.methods, labels=labels), nl=False)
