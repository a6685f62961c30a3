"""`weaver attach`."""

import click

from weaver.cli.deployment import app_argument
from weaver.cli.hosts import accept_new_option, here_option, hosts_of, limit_option, ssh_option
from weaver.cli.target import json_option


@click.command("attach")
@app_argument
@ssh_option
@here_option
@limit_option
@accept_new_option
@click.option("--steal", is_flag=True, help="Take over from a manager that is at work.")
@json_option
def command(
    *,
    app: str | None,
    ssh: str | None,
    here: bool,
    limit: str | None,
    accept_new: bool,
    steal: bool,
    as_json: bool,
) -> int:
    """Put a new manager in charge of deployment APP, whose manager has gone.

    With --ssh, or `[ssh] hosts` in ./weaver.toml, of what runs on those hosts, from whichever
    machine it was deployed. Replicas go on serving all the while. What was decided before, by
    `weaver scale` for example, holds. Where a manager is in charge already, nothing is done.
    """
    hosts = hosts_of(ssh, limit, here=here, quiet=as_json)
    if hosts is None:
        from weaver.cli.taking_over import attach
        from weaver.errors import UsageError

        if limit or accept_new or steal:
            raise UsageError("this option is about hosts", fix="add --ssh hosts.txt")
        return attach(app, as_json=as_json)
    from weaver.cli.ssh_attach import attach_over_ssh

    return attach_over_ssh(app, hosts, accept_new=accept_new, steal=steal, as_json=as_json)
