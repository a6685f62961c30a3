"""`weaver run`."""

import click

from weaver.cli.target import config_option, target_argument


@click.command("run")
@target_argument
@config_option
@click.option(
    "--strict-copies",
    is_flag=True,
    help="Copy arguments and results of calls in this process too, as between processes.",
)
def command(*, target: str | None, config: str | None, strict_copies: bool) -> int:
    """Run the application TARGET in this process until it ends or is stopped.

    TARGET is a component pkg.module:Class, an ASGI or WSGI application pkg.module:app, or the
    path of a weaver.toml; without it, ./weaver.toml says what to run. Ctrl-C ends in order.
    """
    from weaver.application import load_target, run_target

    return run_target(load_target(target, config=config), strict_copies=strict_copies)
