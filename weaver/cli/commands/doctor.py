"""`weaver doctor`."""

from pathlib import Path

import click

from weaver.cli.failed_hosts import FAILED, only_failed
from weaver.cli.hosts import accept_new_option, here_option, hosts_of, limit_option, ssh_option
from weaver.cli.target import json_option
from weaver.cli.versions import app_of


@click.command("doctor")
@click.argument("app", required=False, metavar="[CONFIG|PEX]", type=click.Path(path_type=Path))
@ssh_option
@here_option
@limit_option
@accept_new_option
@json_option
def command(
    *,
    app: Path | None,
    ssh: str | None,
    here: bool,
    limit: str | None,
    accept_new: bool,
    as_json: bool,
) -> int:
    """Show what would fail on hosts, or on this machine, before it does.

    The hosts are those of --ssh, or else of `[ssh] hosts` in CONFIG.
    With CONFIG (./weaver.toml if there is one) or a PEX, also what that application needs of them.
    Nothing is changed on any host. The exit code is 1 if something would fail.
    """
    from weaver.cli.examination import examine_hosts, examine_this_machine, needs_and_faults, show
    from weaver.errors import UsageError

    config = None if app is not None and _is_pex(app) else app
    failed = limit == FAILED
    named = None if failed else limit
    hosts = hosts_of(ssh, named, config=config, here=here, lenient=True, quiet=as_json)
    if hosts is None:
        if limit or accept_new:
            raise UsageError("--limit and --accept-new are about hosts", fix="add --ssh hosts.txt")
        needs, faults = needs_and_faults(app, as_json=as_json)
        return show([examine_this_machine(needs)], faults, as_json=as_json)
    if failed:
        hosts = only_failed(_name_of(app), hosts)
    needs, faults = needs_and_faults(app, as_json=as_json)
    return show(examine_hosts(hosts, needs, accept_new=accept_new), faults, as_json=as_json)


def _name_of(app: Path | None) -> str:
    """The application that has failed on hosts. Raises UsageError where none is meant."""
    from weaver.errors import UsageError

    if app is not None and _is_pex(app):
        from weaver.packaging.manifest import read

        return read(app).app
    name = app_of(app)
    if name is None:
        raise UsageError(
            f"--limit {FAILED} means the hosts on which an application has failed",
            fix="name its weaver.toml or PEX: weaver doctor CONFIG --limit @failed",
        )
    return name


def _is_pex(path: Path) -> bool:
    return path.is_file() and path.suffix != ".toml"
