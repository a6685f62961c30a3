"""`weaver history`."""

import json
import time

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("history")
@app_argument
@json_option
def command(*, app: str | None, as_json: bool) -> None:
    """Show the deployments of APP on this machine, past and present, newest last."""
    import msgspec

    from weaver.deployers import registry

    found = registry.records(app)
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(record) for record in found], indent=2))
        return
    click.echo(f"{'STARTED':<20} {'APP':<16} {'VERSION':<13} {'DEPLOYMENT':<11} {'BY':<10} RESULT")
    for r in found:
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(r.started))
        result = r.result or "running"
        if r.fault is not None:
            result += f": {r.fault.what}"
        click.echo(
            f"{clock:<20} {r.app:<16} {r.version[:12]:<13} {r.deployment:<11} {r.user:<10} {result}"
        )
