"""`weaver rollback`."""

import click

from weaver.cli import versions
from weaver.cli.hosts import accept_new_option, hosts_of, ssh_option
from weaver.cli.target import json_option


@click.command("rollback")
@click.argument("version", required=False, shell_complete=versions.complete)
@click.option("--app", metavar="APP", help="Of which application; the only one that runs.")
@ssh_option
@accept_new_option
@click.option("--force", is_flag=True, help="Also where users would notice what both share.")
@json_option
def command(
    *,
    version: str | None,
    app: str | None,
    ssh: str | None,
    accept_new: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Go back to VERSION, or to the good version before the one that runs.

    While that one still runs, in a rollout or kept warm, it serves everybody again within a second.
    Else it is deployed anew, from the PEX that is kept, as any version is. Only versions that have
    served as they should can be gone back to; `weaver history` shows them.
    """
    from weaver.cli.rolling_back import back_at_once, chosen
    from weaver.deployers import registry

    record = registry.current(app)
    if back_at_once(record, version):
        from weaver.cli.steering import steer
        from weaver.cli.taking_back import wait_taken_back

        steer(record, "rollback")
        return wait_taken_back(record, as_json=as_json)
    built = chosen(record, version)
    if not as_json:
        words = f"{record.app}: back to {versions.short(built.build_id)}, which is deployed anew"
        click.echo(words, err=True)
    if not record.hosts:
        from weaver.cli import local_deploy

        return local_deploy.deploy_built(built, local_deploy.Options(force=force, as_json=as_json))
    from weaver.cli import ssh_deploy
    from weaver.errors import UsageError

    hosts = hosts_of(ssh, quiet=as_json)
    if hosts is None:
        raise UsageError(
            f"{record.app} runs on {', '.join(record.hosts)}",
            fix="name the hosts file that it was deployed with: --ssh hosts.txt",
        )
    options = ssh_deploy.Options(accept_new=accept_new, force=force, as_json=as_json)
    return ssh_deploy.deploy_built(built, hosts, options)
