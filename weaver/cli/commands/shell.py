"""`weaver shell`."""

from typing import TYPE_CHECKING

import click

from weaver.cli import completing
from weaver.cli.hosts import accept_new_option, hosts_of, ssh_option

if TYPE_CHECKING:
    from weaver.errors import Problem


@click.command("shell")
@click.argument("app", shell_complete=completing.known_apps)
@click.argument("host")
@ssh_option
@accept_new_option
def command(*, app: str, host: str, ssh: str | None, accept_new: bool) -> int:
    """Open a shell on HOST, in the current release of APP: its Python is first on PATH.

    HOST is one of --ssh, or else of `[ssh] hosts` in ./weaver.toml. Nothing of the application's
    secrets is set; `weaver exec` runs single commands with them.
    """
    from weaver.cli.hosts import passphrases_of
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.terminal import interact, shell_command
    from weaver.errors import ConfigError, UsageError

    try:
        hosts = hosts_of(ssh, host)
    except ConfigError as error:
        raise ConfigError([_of_argument(problem) for problem in error.problems]) from None
    if not hosts or len(hosts) != 1:
        raise UsageError(
            "a shell is opened on one host",
            why=f"{host} means {len(hosts)}" if hosts else "no hosts are named",
            fix="name one of --ssh hosts.txt",
        )
    ask, _ = passphrases_of()
    with Client(accept_new=accept_new, ask=ask).connect(hosts[0]) as connection:
        return interact(connection, shell_command(app, hosts[0].directory))


def _of_argument(problem: "Problem") -> "Problem":
    """What is said of --limit elsewhere, is about HOST here."""
    from weaver.errors import Problem

    where = "" if problem.where == "--limit" else problem.where
    return Problem(problem.what, where=where, why=problem.why, fix=problem.fix)
