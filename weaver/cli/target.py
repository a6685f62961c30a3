"""The argument and the option that `run`, `check` and `graph` share."""

import click

from weaver.cli import completing

target_argument = click.argument("target", required=False, shell_complete=completing.files)
config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Read this file instead of ./weaver.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
