"""`weaver stop`."""

import click

from weaver.cli.deployment import app_argument


@click.command("stop")
@app_argument
@click.option("--now", "at_once", is_flag=True, help="Do not wait for calls in flight.")
def command(*, app: str | None, at_once: bool) -> None:
    """Stop the running deployment of APP in order; returns when every replica has ended.

    Where its manager has gone, a new one takes over first; where nothing of it runs any more, that
    is noted.
    """
    from weaver.cli.taking_over import forget, take_over
    from weaver.control.operator import StopDeployment
    from weaver.deployers import registry
    from weaver.deployers.manager_client import ask, is_managed

    record = registry.current(app)
    if not is_managed(record):
        successor = take_over(record)
        if successor is None:
            forget(record)
            click.echo(f"{record.app}: nothing of it runs any more; its deployment is closed")
            return
        record = successor
    for _ in ask(record, StopDeployment(at_once), timeout=None):
        pass
    click.echo(f"{record.app}: stopped")
