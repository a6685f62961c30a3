"""`weaver multi run`."""

from pathlib import Path

import click

from weaver.cli.target import json_option


@click.group("multi", no_args_is_help=False)
def command() -> None:
    """Run an application as many processes on this machine."""


@command.command("run", short_help="Build the application if it changed, and run it.")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "--strict-copies", is_flag=True, help="Copy arguments and results of co-located calls too."
)
@json_option
def run(*, config: Path | None, strict_copies: bool, as_json: bool) -> int:
    """Build the application of CONFIG (./weaver.toml) if it changed, and run it here.

    Its log goes to the terminal. Ctrl-C ends everything in order, a second one at once.
    """
    from weaver.cli.foreground import run_foreground

    return run_foreground(config, strict_copies=strict_copies, as_json=as_json)
