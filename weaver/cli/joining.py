"""Hosts that join an application that runs: `weaver deploy` of the same build to another list.

Its manager is replaced by one that knows these hosts, too, and what the list says now of the
others; replicas serve on meanwhile, as with `weaver attach`. Decides which hosts are meant, and
when they have joined.
"""

import contextlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click

from weaver.cli.deployment import plain_status
from weaver.cli.detached import start_manager
from weaver.deployers import registry
from weaver.deployers.manager_client import ask
from weaver.errors import Unreachable, UsageError, WeaverError

if TYPE_CHECKING:
    from weaver.control.operator import Status
    from weaver.deployers.estate import Estate
    from weaver.deployers.manager_process import Former
    from weaver.deployers.registry import Record
    from weaver.deployers.ssh.inventory import Host
    from weaver.deployers.ssh.site import Site
    from weaver.manager.hosts import HostSpec

PATIENCE: Final = 90.0
"""Seconds for the envelopes of hosts that join to take orders."""


def differences(
    record: "Record | None", hosts: "Sequence[Host]"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hosts that are new to a deployment, and those listed otherwise; none where none is live.

    Raises UsageError where its manager cannot be replaced at this moment.
    """
    if record is None:
        return (), ()
    found = newcomers(record, hosts), altered(record, hosts)
    if any(found):
        refuse_in_hook(record)
    return found


def newcomers(record: "Record", hosts: "Sequence[Host]") -> tuple[str, ...]:
    """The names of those hosts that a deployment does not run on; of one over SSH only."""
    if not record.hosts:
        return ()
    return tuple(host.name for host in hosts if host.name not in record.hosts)


def altered(record: "Record", hosts: "Sequence[Host]") -> tuple[str, ...]:
    """The names of those hosts that a deployment runs on and that are listed otherwise now."""
    from weaver.deployers.registry import Listed

    return tuple(
        host.name
        for host in hosts
        if host.name in record.listed
        and record.listed[host.name] != Listed(host.labels, host.groups, host.slots)
    )


def refuse_in_hook(record: "Record") -> None:
    """Refuse to replace a manager that may be running a hook, which ends with it. Raises."""
    from weaver.cli.rollout_follow import rollout_of

    phase = rollout_of(record).phase
    if phase in {"before", "after"}:
        raise UsageError(
            f"no host can join {record.app} at this moment",
            where=f"deployment {record.deployment}",
            why=f"its rollout is at [rollout] {phase}, which would be interrupted",
            fix=f"look again when that is over: weaver rollout {record.app} -f",
        )


def extended(
    former: "Former", hosts: "Mapping[str, HostSpec]", sites: "Mapping[str, Site]"
) -> "Estate":
    """What a manager is told that has the hosts of `sites`, too, and all as they are listed now.

    Raises UsageError, ConfigError.
    """
    from weaver.deployers.joining import enlarged, relisted

    estate = former.estate
    if sites:
        pythons = {name: site.python for name, site in sites.items()}
        units = {name: site.unit for name, site in sites.items() if site.unit}
        estate = enlarged(estate, {name: hosts[name] for name in sites}, pythons, units)
    return relisted(estate, hosts)


def take_in(
    command: "Sequence[str]",
    estate: "Estate",
    joining: "Mapping[str, Site]",
    former: "tuple[Former, ...]",
    *,
    passphrases: "Mapping[str, str]",
    lock: str,
) -> "Record":
    """Replace the manager of the first of `former` by one that knows `joining`, too.

    Raises WeaverError; the versions have a manager as before then, if that is possible.
    """
    from weaver.deployers.manager_process import Task

    first, older = former[0], former[1:]
    given = dict(passphrases)
    sites = {**first.sites, **joining}
    try:
        return start_manager(
            command, Task(estate, sites=sites, passphrases=given, former=older, lock=lock)
        )
    except WeaverError:
        with contextlib.suppress(WeaverError):  # `weaver attach` says why
            start_manager(command, Task(first.estate, first.sites, given, older))
        raise


def wait_joined(
    record: "Record", joining: Collection[str], others: Collection[str], *, as_json: bool
) -> None:
    """Return when the envelopes of these hosts take orders. Raises WeaverError if some do not.

    `others` take part already, and are listed otherwise now.
    """
    deadline = time.monotonic() + PATIENCE
    status: Status | None = None
    while True:
        status = _status(record) or status
        found = status.report.hosts if status is not None else {}
        late = [host for host in (*joining, *others) if found.get(host) != "attached"]
        if not late:
            break
        if time.monotonic() > deadline:
            raise WeaverError(
                f"the envelope of {', '.join(late)} does not take orders",
                where=f"deployment {record.deployment}",
                why=f"not within {PATIENCE:g} s; the others serve on, and it is tried again",
                fix=f"see why: weaver events {record.app}",
            )
        time.sleep(0.05)
    if status is None:
        return
    if as_json:
        click.echo(json.dumps(plain_status(status), indent=2))
        return
    app, version = status.report.app, status.report.version[:12]
    if others:
        click.echo(f"{', '.join(others)}: slots, labels and groups of {app} are as listed now")
    if joining:
        verb = "has" if len(joining) == 1 else "have"
        click.echo(f"{', '.join(joining)} {verb} joined {app} {version}")
        if status.report.traffic < 1:
            click.echo("its rollout is under way: if it is taken back, deploy to the list again")
    what = "new replicas go there, and those of lost hosts" if joining else "they count from now on"
    click.echo(f"{what}; what runs keeps its place: weaver scale {app} GROUP=N")


def _status(record: "Record") -> "Status | None":
    from weaver.control.operator import GetStatus, Status

    with contextlib.suppress(Unreachable):  # the next look tells
        for answer in ask(registry.latest(record), GetStatus()):
            if isinstance(answer, Status):
                return answer
    return None
