"""`weaver doctor`."""

from pathlib import Path

import click

from weaver.cli.hosts import accept_new_option, limit_option, ssh_option
from weaver.cli.target import json_option


@click.command("doctor")
@click.argument("app", required=False, metavar="[CONFIG|PEX]", type=click.Path(path_type=Path))
@ssh_option
@limit_option
@accept_new_option
@json_option
def command(
    *, app: Path | None, ssh: str | None, limit: str | None, accept_new: bool, as_json: bool
) -> int:
    """Show what would fail on hosts, or on this machine, before it does.

    With CONFIG (./weaver.toml if there is one) or a PEX, also what that application needs of them.
    Nothing is changed on any host. The exit code is 1 if something would fail.
    """
    from weaver.cli.examination import examine_hosts, examine_this_machine, needs_and_faults, show
    from weaver.errors import UsageError

    if ssh is None:
        if limit or accept_new:
            raise UsageError("--limit and --accept-new are about hosts", fix="add --ssh hosts.txt")
        needs, faults = needs_and_faults(app, as_json=as_json)
        return show([examine_this_machine(needs)], faults, as_json=as_json)
    from weaver.cli.hosts import hosts_of

    hosts = hosts_of(ssh, limit)
    needs, faults = needs_and_faults(app, as_json=as_json)
    return show(examine_hosts(hosts, needs, accept_new=accept_new), faults, as_json=as_json)
