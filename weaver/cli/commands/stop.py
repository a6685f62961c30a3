"""`weaver stop`."""

import click

from weaver.cli.deployment import app_argument


@click.command("stop")
@app_argument
@click.option("--now", "at_once", is_flag=True, help="Do not wait for calls in flight.")
def command(*, app: str | None, at_once: bool) -> None:
    """Stop the running deployment of APP in order; returns when every replica has ended."""
    from weaver.control.operator import StopDeployment
    from weaver.deployers import registry
    from weaver.deployers.manager_client import ask

    record = registry.current(app)
    for _ in ask(record, StopDeployment(at_once), timeout=None):
        pass
    click.echo(f"{record.app}: stopped")
