"""`weaver profile`."""

import collections
import json
from pathlib import Path
from typing import Final

import click

from weaver.cli import completing
from weaver.cli.target import json_option
from weaver.errors import UsageError, WeaverError

_SHOWN: Final = 15
"""Functions that are listed."""


@click.command("profile")
@click.argument("app", shell_complete=completing.apps)
@click.argument("replica", shell_complete=completing.replicas)
@click.option(
    "--seconds",
    metavar="N",
    type=click.FloatRange(0.1, 60),
    default=5.0,
    show_default=True,
    help="How long.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the stacks there, one a line with its count, as flame graphs are made of.",
)
@json_option
def command(*, app: str, replica: str, seconds: float, output: Path | None, as_json: bool) -> None:
    """Show what REPLICA of APP is doing: where its threads are, a hundred times a second."""
    from weaver.cli.namesakes import meant
    from weaver.control.messages import Profiled
    from weaver.control.operator import GetProfile
    from weaver.deployers.manager_client import TIMEOUT, ask

    record = meant(app)
    if output is not None and not output.parent.is_dir():  # said before it takes time
        raise UsageError(
            f"there is no directory {output.parent}", where="--output", fix="make it first"
        )
    request = GetProfile(replica, seconds)
    stacks: dict[str, int] = {}
    for answer in ask(record, request, timeout=seconds + 2 * TIMEOUT):
        if isinstance(answer, Profiled):
            stacks = answer.stacks
    if output is not None:
        lines = [f"{stack} {count}\n" for stack, count in sorted(stacks.items())]
        _write(output, "".join(lines))
    if as_json:
        click.echo(json.dumps(stacks, indent=2))
        return
    for line in _table(stacks):
        click.echo(line)


def _write(output: Path, text: str) -> None:
    """Raises WeaverError where that cannot be."""
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WeaverError(
            f"{output} cannot be written",
            why=error.strerror or str(error),
            fix="name a file that you may write to",
        ) from error


def _table(stacks: dict[str, int]) -> list[str]:
    """The functions that were seen most, themselves and with what they had called."""
    total = sum(stacks.values())
    own: collections.Counter[str] = collections.Counter()
    within: collections.Counter[str] = collections.Counter()
    for stack, count in stacks.items():
        frames = stack.split(";")
        own[frames[-1]] += count
        for frame in set(frames):
            within[frame] += count
    lines = [f"{total} looks at {len(stacks)} different stacks", "  OWN  WITH CALLEES  FUNCTION"]
    lines += [
        f"{100 * count / total:4.0f}%  {100 * within[frame] / total:11.0f}%  {frame}"
        for frame, count in own.most_common(_SHOWN)
    ]
    return lines if total else ["nothing was seen"]
