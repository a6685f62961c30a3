"""`weaver prune`."""

import json

import click

from weaver.cli import completing
from weaver.cli.hosts import accept_new_option, here_option, hosts_of, limit_option, ssh_option
from weaver.cli.target import json_option


@click.command("prune")
@click.argument("app", required=False, shell_complete=completing.known_apps)
@ssh_option
@here_option
@limit_option
@accept_new_option
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Good releases to keep.",
)
@click.option("--plan", "plan_only", is_flag=True, help="Say what would go; remove nothing.")
@json_option
def command(
    *,
    app: str | None,
    ssh: str | None,
    here: bool,
    limit: str | None,
    accept_new: bool,
    keep: int,
    plan_only: bool,
    as_json: bool,
) -> int:
    """Remove old releases of APP, or of all applications, here or from hosts.

    Never the current one, the good one before it, or one that runs. The hosts are those of --ssh,
    or else of `[ssh] hosts` in ./weaver.toml.
    """
    from weaver.cli.ssh_prune import Found, prune
    from weaver.errors import UsageError

    hosts = hosts_of(ssh, limit, here=here, quiet=as_json)
    if hosts is None:
        if limit is not None or accept_new:
            raise UsageError("this option is about hosts", fix="add --ssh hosts.txt")
        from weaver.deployers.local_releases import prune_here

        pruned = prune_here(app, keep, plan_only=plan_only)
        if app is not None and not pruned:
            _refuse_unknown(app)
        found = Found(plan_only, {"this machine": pruned})
    else:
        found = prune(app, hosts, accept_new=accept_new, keep=keep, plan_only=plan_only)
    if as_json:
        click.echo(json.dumps(found.plain(), indent=2))
    else:
        for line in found.lines():
            click.echo(line)
    return 1 if found.faults else 0


def _refuse_unknown(app: str) -> None:
    """Raise UsageError for an application that was never deployed here."""
    from weaver.deployers import registry
    from weaver.errors import UsageError, did_you_mean

    known = {record.app for record in registry.records()}
    if app not in known:
        raise UsageError(
            f'no release of an application "{app}" is installed here',
            fix=did_you_mean(app, known) or "see what is on hosts: --ssh hosts.txt",
        )
