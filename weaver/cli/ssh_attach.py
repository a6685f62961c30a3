"""`weaver attach --ssh`: go on where the manager on another machine, or an earlier one, stopped."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from weaver.cli.attached import wait_attached
from weaver.cli.detached import start_manager
from weaver.cli.host_table import HostTable
from weaver.cli.ssh_deploy import MANAGER
from weaver.cli.ssh_formers import attended, formers_on
from weaver.cli.taking_over import forget_gone
from weaver.errors import UsageError, WeaverError, did_you_mean

if TYPE_CHECKING:
    from weaver.deployers.manager_process import Task
    from weaver.deployers.registry import Record
    from weaver.deployers.ssh.heirs import Found
    from weaver.deployers.ssh.inventory import Host


def attach_over_ssh(
    app: str | None, hosts: "Sequence[Host]", *, accept_new: bool, steal: bool, as_json: bool
) -> int:
    """Put a manager in charge of what runs on hosts, and wait for its word; the exit code."""
    record, task = _succeed(app, hosts, accept_new=accept_new, steal=steal, quiet=as_json)
    return wait_attached(record, task, as_json=as_json)


def take_over_hosts(app: str | None, hosts: "Sequence[Host]", *, quiet: bool) -> "Record":
    """Start a manager here for what runs on hosts without one. Raises WeaverError."""
    return _succeed(app, hosts, accept_new=False, steal=False, quiet=quiet)[0]


def _succeed(
    app: str | None, hosts: "Sequence[Host]", *, accept_new: bool, steal: bool, quiet: bool
) -> "tuple[Record, Task]":
    """Ask all hosts what runs there, and start a manager for it here. Raises WeaverError."""
    from weaver.cli.hosts import passphrases_of
    from weaver.deployers.manager_process import Task
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.preflight.needs import Needs
    from weaver.deployers.ssh.preparation import Preparation

    ask, passphrases = passphrases_of()
    client = Client(accept_new=accept_new, ask=ask)
    table = HostTable([host.name for host in hosts], quiet=quiet)
    with Preparation(app or "", hosts, client, table) as work:
        with table:
            examined = work.examine(Needs())
            found = work.deployments()
        wanted = _chosen(app, found.values())
        for host in examined.failed:
            click.echo(f"warning: {host.host}: {host.findings[0].what}", err=True)
        if wanted.attended and not steal:
            raise attended(wanted)
        application = wanted.estate.spec.application
        versions = formers_on(application.app, found.values(), hosts, steal=True)
        runs = [version.estate.spec.application.deployment for version in versions]
        forget_gone(application.app, work.hosts, runs)
        estate, sites = versions[0].estate, versions[0].sites
        task = Task(estate, sites=sites, passphrases=passphrases, former=versions[1:])
        record = start_manager(MANAGER, task)
        work.note(
            application.app,
            "attach",
            list(sites),
            build_id=application.version,
            result="its manager was replaced" if wanted.attended else "it has a manager again",
        )
    return record, task


def _chosen(app: str | None, found: "Iterable[Found]") -> "Found":
    """The deployment that is meant. Raises WeaverError where there is none, or more than one."""
    by_app: dict[str, list[Found]] = {}
    for each in found:
        by_app.setdefault(each.estate.spec.application.app, []).append(each)
    names = ", ".join(sorted(by_app)) or "nothing"
    if app is None and len(by_app) > 1:
        raise UsageError("several applications run on these hosts", why=names, fix="name one")
    key = app if app is not None else next(iter(by_app), None)
    if key is None or key not in by_app:
        raise WeaverError(
            f"{app} does not run on these hosts" if app else "nothing runs on these hosts",
            why=f"what runs there: {names}",
            fix=(did_you_mean(app, by_app) if app else "") or "deploy it: weaver deploy --ssh",
        )
    # Of several versions, the one that began last takes over from the others.
    return max(by_app[key], key=lambda each: each.estate.started)
