"""`weaver deploy`."""

from pathlib import Path

import click

from weaver.cli.target import json_option


@click.command("deploy")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--follow", is_flag=True, help="Go on with the log once it is live; Ctrl-C leaves.")
@json_option
def command(*, config: Path | None, follow: bool, as_json: bool) -> int:
    """Build the application of CONFIG (./weaver.toml) if it changed, and deploy it here.

    Returns when the deployment is live, which then goes on without this command; or when it has
    failed, with the reason and its last log lines.
    """
    from weaver.cli.detached import deploy

    return deploy(config, follow=follow, as_json=as_json)
