"""What runs of an application on hosts, for a manager here that takes it over.

Decides what can be taken over: what no manager attends, or one of this machine, or any with
--steal. What becomes of several versions, their rollout decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from weaver.deployers import registry
from weaver.deployers.manager_client import is_managed
from weaver.errors import UsageError

if TYPE_CHECKING:
    from weaver.deployers.manager_process import Former
    from weaver.deployers.ssh.heirs import Found
    from weaver.deployers.ssh.inventory import Host
    from weaver.deployers.ssh.site import Site


def formers_on(
    app: str, found: "Iterable[Found]", hosts: "Sequence[Host]", *, steal: bool
) -> "tuple[Former, ...]":
    """The versions of an application among what was found, the newest first. Raises UsageError."""
    from weaver.deployers.manager_process import Former

    own = [each for each in found if each.estate.spec.application.app == app]
    own.sort(key=lambda each: -each.estate.started)
    for each in own:
        if each.attended and not steal and not _is_ours(each):
            raise attended(each)
    return tuple(
        Former(
            each.estate,
            sites_of(each.estate.pythons, each.estate.units, hosts),
            hands_over=each.hands_over,
        )
        for each in own
    )


def no_more(app: str, former: "tuple[Former, ...]", managed: int) -> "tuple[Former, ...]":
    """The same, if it is one version or none, or all of it is `managed` here: so many versions.

    Raises UsageError: which one serves is not known.
    """
    if len(former) <= max(managed, 1):
        return former
    builds = ", ".join(each.estate.spec.application.version[:12] for each in former)
    raise UsageError(
        f"a rollout of {app} is under way, and has no manager here",
        where=builds,
        why="one of its versions has to be the only one before another is deployed",
        fix=f"let it go on here: weaver attach {app} --ssh HOSTS, and then: weaver deploy",
    )


def attended(found: "Found") -> UsageError:
    """Why it is not taken over."""
    return UsageError(
        f"{found.estate.spec.application.app} has a manager",
        where=", ".join(found.attended),
        why="it is attached to the envelopes there now",
        fix="let that one act: `weaver status` on its machine; or take over with --steal",
    )


def sites_of(
    pythons: Mapping[str, str], units: Mapping[str, str], hosts: "Sequence[Host]"
) -> "dict[str, Site]":
    """The hosts of a deployment as they are reached from here. Raises UsageError."""
    from weaver.deployers.ssh.site import Site

    listed = {host.name: host for host in hosts}
    missing = [name for name in pythons if name not in listed]
    if missing:
        raise UsageError(
            "the list of hosts lacks some of the deployment",
            where=", ".join(missing),
            why=f"it runs on {', '.join(pythons)}",
            fix="use the hosts file that it was deployed with",
        )
    return {
        name: Site(host=listed[name], python=python, unit=units.get(name, ""))
        for name, python in pythons.items()
    }


def _is_ours(found: "Found") -> bool:
    application = found.estate.spec.application
    return any(
        record.deployment == application.deployment and not record.ended and is_managed(record)
        for record in registry.records(application.app)
    )
