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
    "--keep", metavar="N", type=click.IntRange(1), default=5, help="Good releases to keep; 5."
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
    """Remove old releases of APP, or of all applications, here or from the hosts of --ssh.

    Never the current one, the good one before it, or one that runs.
    """
    from weaver.cli.ssh_prune import Found, prune
    from weaver.errors import UsageError

    hosts = hosts_of(ssh, limit, here=here, quiet=as_json)
    if hosts is None:
        if limit is not None or accept_new:
            raise UsageError("this option is about hosts", fix="add --ssh hosts.txt")
        from weaver.deployers.local_releases import prune_here

        pruned = prune_here(app, keep, plan_only=plan_only)
        found = Found(plan_only, {"this machine": pruned})
    else:
        found = prune(app, hosts, accept_new=accept_new, keep=keep, plan_only=plan_only)
    if as_json:
        click.echo(json.dumps(found.plain(), indent=2))
    else:
        for line in found.lines():
            click.echo(line)
    return 1 if found.faults else 0
