"""`weaver rollback`."""

import click

from weaver.cli import versions
from weaver.cli.hosts import accept_new_option, hosts_of, ssh_option
from weaver.cli.target import json_option


@click.command("rollback")
@click.argument("words", nargs=-1, metavar="[APP] [VERSION]", shell_complete=versions.complete_good)
@ssh_option
@accept_new_option
@click.option(
    "--force", is_flag=True, help="Also where users would notice what both versions share."
)
@json_option
def command(
    *,
    words: tuple[str, ...],
    ssh: str | None,
    accept_new: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Go back to VERSION of APP, or to the good version before the one that runs.

    While that version still runs, in a rollout or kept warm, it serves everybody again within a
    second. Else it is deployed anew, from the PEX that is kept, as any version is. Only versions
    that have served as they should can be gone back to; `weaver history` shows them. APP may be
    left out where only one application runs. One that runs on hosts goes back on those of --ssh, or
    else of `[ssh] hosts` in ./weaver.toml.
    """
    from weaver.cli.namesakes import meant
    from weaver.cli.rolling_back import back_at_once, chosen, folder_of

    app, version = _told(words)
    record = meant(app)
    if back_at_once(record, version):
        from weaver.cli.steering import steer
        from weaver.cli.taking_back import wait_taken_back

        steer(record, "rollback")
        return wait_taken_back(record, as_json=as_json)
    built = chosen(record, version)
    if not as_json:
        named = f"{record.app}: back to {versions.short(built.build_id)}"
        click.echo(f"{named}, which is deployed anew", err=True)
    if not record.hosts:
        from weaver.cli import local_deploy

        options = local_deploy.Options(folder=folder_of(record), force=force, as_json=as_json)
        return local_deploy.deploy_built(built, options)
    from weaver.cli import ssh_deploy
    from weaver.cli.ssh_options import Options
    from weaver.errors import UsageError

    hosts = hosts_of(ssh, quiet=as_json)
    if hosts is None:
        raise UsageError(
            f"{record.app} runs on {', '.join(record.hosts)}",
            fix="name the hosts file that it was deployed with: --ssh hosts.txt",
        )
    over_ssh = Options(accept_new=accept_new, force=force, as_json=as_json)
    return ssh_deploy.deploy_built(built, hosts, over_ssh)


def _told(words: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The application and the version that are named; one word alone can be either."""
    from weaver.deployers import registry

    if len(words) > 2:
        raise click.UsageError("rollback takes an application and a version, and no more")
    if len(words) == 2:
        return words[0], words[1]
    if not words:
        return None, None
    return (words[0], None) if registry.records(words[0]) else (None, words[0])
