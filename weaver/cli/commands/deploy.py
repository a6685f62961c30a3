"""`weaver deploy`."""

from pathlib import Path
from typing import Any, Final

import click

from weaver.cli.failed_hosts import FAILED
from weaver.cli.hosts import accept_new_option, here_option, hosts_of, limit_option, ssh_option
from weaver.cli.target import json_option
from weaver.errors import UsageError

ABOUT_HOSTS: Final = (
    "accept_new",
    "skip_unreachable",
    "max_fail",
    "service",
    "steal",
    "message",
)
"""Options that say nothing of this machine; `batch` has a value in any case."""


@click.command("deploy")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@ssh_option
@here_option
@limit_option
@accept_new_option
@click.option("--plan", "plan_only", is_flag=True, help="Say what would change; change nothing.")
@click.option("--skip-unreachable", is_flag=True, help="Go on without hosts that do not answer.")
@click.option(
    "--max-fail",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Hosts that may fail; others take their share.",
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Hosts that upload and install at the same time.",
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
    *, config: Path | None, ssh: str | None, here: bool, limit: str | None, **told: Any
) -> int:
    """Build the application of CONFIG (./weaver.toml) if it changed, and deploy it.

    It is deployed on the hosts of --ssh, or else of `[ssh] hosts` in CONFIG, or else on this
    machine. Where a version of it runs, users' requests move to the new one step by step, as
    `[rollout]` says. Returns when the new version serves alone, and goes on without this command;
    or when it was taken back, with the reason, failed requests and the last log lines.

    Hosts of the list that the version which runs is not on yet join it. `--limit @failed` means
    those only that a deploy has failed on; if nothing runs, they get the release.
    """
    only_failed = limit == FAILED
    named = None if only_failed else limit
    hosts = hosts_of(ssh, named, config=config, here=here, quiet=told["as_json"])
    if hosts is not None:
        from weaver.cli import ssh_deploy
        from weaver.cli.ssh_options import Options

        over_ssh = Options(only_failed=only_failed, **told)
        return ssh_deploy.deploy(config, hosts, over_ssh)
    from weaver.cli import local_deploy

    if limit or any(told[name] for name in ABOUT_HOSTS):
        raise UsageError("this option is about hosts", fix="add --ssh hosts.txt")
    known = {name: told[name] for name in told if name not in {*ABOUT_HOSTS, "batch"}}
    return local_deploy.deploy(config, local_deploy.Options(**known))
