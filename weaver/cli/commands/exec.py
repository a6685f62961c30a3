"""`weaver exec`."""

import json
import sys

import click

from weaver.cli import completing
from weaver.cli.target import json_option
from weaver.config.units import Duration

_SIGNALLED = 128  # what shells add to the number of a signal


@click.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("app", shell_complete=completing.apps)
@click.argument("group", shell_complete=completing.groups)
@click.argument("words", nargs=-1, required=True, metavar="[--] COMMAND...")
@click.option(
    "--replica",
    metavar="ID",
    default="",
    shell_complete=completing.replicas,
    help="Beside this replica of the group.",
)
@click.option(
    "--timeout", metavar="TIME", default="10m", show_default=True, help="How long it may take."
)
@json_option
def command(
    *, app: str, group: str, words: tuple[str, ...], replica: str, timeout: str, as_json: bool
) -> int:
    """Run COMMAND on the host of a replica of GROUP, as `weaver exec shop front -- python -V`.

    It runs in the environment of the application: the Python of its release is first on PATH, and
    its variables and secrets are set. Its output is shown when it has ended, and its exit code is
    that of this command. Nothing can be typed into it.
    """
    from weaver.cli.namesakes import meant
    from weaver.control.operator import Execute, Executed
    from weaver.deployers.manager_client import ask
    from weaver.errors import UsageError

    try:
        seconds = float(Duration.parse(timeout))
    except ValueError as error:
        raise UsageError(f"--timeout {timeout}", why=str(error)) from error
    record = meant(app)
    if words[0].startswith("-") and words[0] != "--":
        raise UsageError(
            f'"{words[0]}" stands where the command begins',
            fix=f"options stand first: weaver exec {words[0]} … {app} {group} -- COMMAND",
        )
    if words[0] == "--":
        words = words[1:]
    if not words:
        raise UsageError("no command is given", fix=f"weaver exec {app} {group} -- COMMAND")
    request = Execute(group, words, seconds, replica)
    for answer in ask(record, request, timeout=seconds + 60):
        if isinstance(answer, Executed):
            return _show(answer, as_json=as_json)
    return 1


def _show(done: "object", *, as_json: bool) -> int:
    from weaver.control.operator import Executed

    assert isinstance(done, Executed)
    code = done.exit_code if done.exit_code >= 0 else _SIGNALLED - done.exit_code
    if as_json:
        plain = {
            "host": done.host,
            "exit_code": done.exit_code,
            "stdout": done.stdout.decode(errors="replace"),
            "stderr": done.stderr.decode(errors="replace"),
        }
        click.echo(json.dumps(plain))
        return code
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(done.stderr)
    sys.stderr.buffer.flush()
    return code
