"""Hosts that join a deployment that runs: what its next manager is told, beside what it knows.

Decides what a host that joins must have, and when none can; and what can change of one that takes
part. What runs keeps its place; what has none yet, or stands in for another, is placed by the
manager.
"""

from collections.abc import Mapping

import msgspec

from weaver.deployers.certificates import Authority
from weaver.deployers.estate import Estate
from weaver.deployers.launch import undialled
from weaver.errors import ConfigError, Problem, UsageError
from weaver.manager.hosts import HostSpec, shortage


def enlarged(
    estate: Estate,
    hosts: Mapping[str, HostSpec],
    pythons: Mapping[str, str],
    units: Mapping[str, str],
) -> Estate:
    """The estate with these hosts, too; `pythons` and `units` are theirs, as in `Estate`.

    Raises UsageError where none can join, ConfigError for a host that others cannot dial.
    """
    spec, application = estate.spec, estate.spec.application
    if spec.signer is None:
        raise UsageError(
            f"no host can join this deployment of {application.app}",
            where=", ".join(spec.hosts),
            why="one that began on a single host, or with an older weaver, takes in no others",
            fix=f"start it anew: weaver stop {application.app}, then weaver deploy",
        )
    if problems := undialled(hosts):
        raise ConfigError(problems)
    signer = spec.signer
    authority = Authority(application.deployment, signer.certificate, signer.key)
    joining = {
        name: msgspec.structs.replace(
            host, certificates=authority.certificates(name, always=signer.always)
        )
        for name, host in hosts.items()
    }
    return msgspec.structs.replace(
        estate,
        spec=msgspec.structs.replace(spec, hosts={**spec.hosts, **joining}),
        pythons={**estate.pythons, **pythons},
        units={**estate.units, **units},
    )


def relisted(estate: Estate, hosts: Mapping[str, HostSpec]) -> Estate:
    """The estate with labels, groups and slots of its hosts as these have them.

    Raises ConfigError for replicas that they have no room for then.
    """
    spec = estate.spec
    known = {
        name: msgspec.structs.replace(
            host, labels=hosts[name].labels, groups=hosts[name].groups, slots=hosts[name].slots
        )
        if name in hosts
        else host
        for name, host in spec.hosts.items()
    }
    wanted = {
        name: estate.desired.replicas.get(name, group.replicas)
        for name, group in spec.groups.items()
        if not group.external
    }
    if known != spec.hosts and (fault := shortage(spec.groups, known, wanted)) is not None:
        raise ConfigError([Problem(fault.what, where=fault.where, why=fault.why, fix=fault.fix)])
    return msgspec.structs.replace(estate, spec=msgspec.structs.replace(spec, hosts=known))
