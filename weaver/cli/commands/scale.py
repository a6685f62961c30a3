"""`weaver scale`."""

import json

import click

from weaver.cli import completing
from weaver.cli.target import json_option


@click.command("scale")
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="[APP] GROUP=N...",
    shell_complete=completing.scaled,
)
@json_option
def command(*, words: tuple[str, ...], as_json: bool) -> None:
    """Run N replicas of each GROUP of APP, as in `weaver scale shop front=4`.

    APP may be left out where only one application runs.
    """
    from weaver.cli.namesakes import meant
    from weaver.control.operator import Scale
    from weaver.deployers.manager_client import ask

    app, changes = (None, words) if "=" in words[0] else (words[0], words[1:])
    if not changes:
        raise click.UsageError("Missing argument 'GROUP=N...'", click.get_current_context())
    wanted = [_parsed(change) for change in changes]
    record = meant(app)
    for group, replicas in wanted:
        for _ in ask(record, Scale(group, replicas)):
            pass
        if not as_json:
            click.echo(f"{group}: {replicas} replica{'' if replicas == 1 else 's'} wanted")
    if as_json:
        click.echo(json.dumps([{"group": group, "wanted": number} for group, number in wanted]))


def _parsed(change: str) -> tuple[str, int]:
    group, _, number = change.partition("=")
    if not group or not number.isdecimal() or int(number) < 1:
        raise click.BadParameter(f'"{change}" is not GROUP=N with N of at least 1')
    return group, int(number)
