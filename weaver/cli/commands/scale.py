"""`weaver scale`."""

import click


@click.command("scale")
@click.argument("app")
@click.argument("changes", nargs=-1, required=True, metavar="GROUP=N...")
def command(*, app: str, changes: tuple[str, ...]) -> None:
    """Run N replicas of each GROUP of APP, as in `weaver scale shop front=4`."""
    from weaver.control.operator import Scale
    from weaver.deployers import registry
    from weaver.deployers.manager_client import ask

    wanted = [_parsed(change) for change in changes]
    record = registry.current(app)
    for group, replicas in wanted:
        for _ in ask(record, Scale(group, replicas)):
            pass
        click.echo(f"{group}: {replicas} replica{'' if replicas == 1 else 's'} wanted")


def _parsed(change: str) -> tuple[str, int]:
    group, _, number = change.partition("=")
    if not group or not number.isdecimal() or int(number) < 1:
        raise click.BadParameter(f'"{change}" is not GROUP=N with N of at least 1')
    return group, int(number)
