"""`weaver history`."""

import json

import click

from weaver.cli import completing
from weaver.cli.hosts import accept_new_option, hosts_of, limit_option, ssh_option
from weaver.cli.target import json_option


@click.command("history")
@click.argument("app", required=False, shell_complete=completing.known_apps)
@ssh_option
@limit_option
@accept_new_option
@click.option("--evidence", is_flag=True, help="Also what speaks against those taken back.")
@json_option
def command(
    *,
    app: str | None,
    ssh: str | None,
    limit: str | None,
    accept_new: bool,
    evidence: bool,
    as_json: bool,
) -> int:
    """Show the deployments of APP on this machine, past and present, newest last.

    Who deployed which build and revision, when, how traffic moved to it, and what became of it.

    With --ssh, what was done to APP on those hosts: when, by whom, with which build and result. So
    it is for an APP that was never deployed from this machine, on the hosts of `[ssh] hosts`.
    """
    from weaver.cli.ssh_history import audits
    from weaver.deployers import registry
    from weaver.errors import UsageError

    hosts = None
    if ssh is not None or (app is not None and not registry.records(app)):
        hosts = hosts_of(ssh, limit, lenient=ssh is None, quiet=as_json)
    if hosts is None:
        _show_deployments(app, evidence=evidence, as_json=as_json)
        return 0
    if app is None:
        raise UsageError("the history of hosts is that of an application", fix="name it")
    found = audits(app, hosts, accept_new=accept_new)
    if as_json:
        click.echo(json.dumps(found.plain(), indent=2))
    else:
        for line in found.lines():
            click.echo(line)
        for host, error in found.faults.items():
            click.echo(f"{host}: failed: {error.what}", err=True)
    return 1 if found.faults else 0


def _show_deployments(app: str | None, *, evidence: bool, as_json: bool) -> None:
    from weaver.cli.render_history import lines_of, plain
    from weaver.deployers import registry
    from weaver.errors import UsageError, did_you_mean

    found = registry.records(app)
    if app is not None and not found:
        known = sorted({record.app for record in registry.records()})
        raise UsageError(
            f'no application called "{app}" was ever deployed here',
            why=f"known: {', '.join(known) or 'none'}",
            fix=did_you_mean(app, known) or "see what was done on hosts with --ssh hosts.txt",
        )
    if as_json:
        click.echo(json.dumps([plain(record, found) for record in found], indent=2))
        return
    if not found:
        click.echo("nothing was deployed on this machine yet")
        return
    for line in lines_of(found, evidence=evidence):
        click.echo(line)
