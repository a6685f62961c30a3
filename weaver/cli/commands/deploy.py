"""`weaver deploy`."""

from pathlib import Path

import click

from weaver.cli.failed_hosts import FAILED
from weaver.cli.hosts import accept_new_option, here_option, hosts_of, limit_option, ssh_option
from weaver.cli.target import json_option


@click.command("deploy")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@ssh_option
@here_option
@limit_option
@accept_new_option
@click.option("--plan", "plan_only", is_flag=True, help="Say what would change; change nothing.")
@click.option("--skip-unreachable", is_flag=True, help="Go on without hosts that do not answer.")
@click.option(
    "--max-fail", metavar="N", type=click.IntRange(0), default=0, help="Hosts that may fail."
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1),
    default=16,
    help="Hosts that upload and install at the same time; 16.",
)
@click.option(
    "--service", is_flag=True, help="Start again after a reboot of a host, by a unit of systemd."
)
@click.option("--steal", is_flag=True, help="Take the deploy lock from whoever holds it.")
@click.option("--message", "-m", metavar="TEXT", default="", help="What others read at the lock.")
@click.option(
    "--force", is_flag=True, help="Also where users would notice what both versions share."
)
@click.option("--detach", is_flag=True, help="Return once the new version is up.")
@click.option("--follow", is_flag=True, help="Go on with the log once it is live; Ctrl-C leaves.")
@json_option
def command(
    *,
    config: Path | None,
    ssh: str | None,
    here: bool,
    limit: str | None,
    accept_new: bool,
    plan_only: bool,
    skip_unreachable: bool,
    max_fail: int,
    batch: int,
    service: bool,
    steal: bool,
    message: str,
    force: bool,
    detach: bool,
    follow: bool,
    as_json: bool,
) -> int:
    """Build the application of CONFIG (./weaver.toml) if it changed, and deploy it.

    It is deployed on the hosts of --ssh, or else of `[ssh] hosts` in CONFIG, or else on this
    machine. Returns when the deployment is live, which then goes on without this command; or when
    it has failed, with the reason and its last log lines. `--limit @failed` brings the release to
    those hosts only that a deploy has failed on, and starts nothing.
    """
    only_failed = limit == FAILED
    hosts = hosts_of(ssh, None if only_failed else limit, config=config, here=here, quiet=as_json)
    if hosts is None:
        if limit or accept_new or skip_unreachable or service or max_fail or steal or message:
            from weaver.errors import UsageError

            raise UsageError("this option is about hosts", fix="add --ssh hosts.txt")
        from weaver.cli import local_deploy

        return local_deploy.deploy(
            config,
            local_deploy.Options(
                plan_only=plan_only, force=force, detach=detach, follow=follow, as_json=as_json
            ),
        )
    from weaver.cli.ssh_deploy import Options, deploy

    options = Options(
        accept_new=accept_new,
        plan_only=plan_only,
        skip_unreachable=skip_unreachable,
        max_fail=max_fail,
        batch=batch,
        only_failed=only_failed,
        service=service,
        steal=steal,
        message=message,
        force=force,
        detach=detach,
        follow=follow,
        as_json=as_json,
    )
    return deploy(config, hosts, options)
