"""Hosts that join a deployment that runs: what its next manager is told, beside what it knows.

Decides what a host that joins must have, and when none can. What runs keeps its place; what has
none yet, or stands in for another, is placed by the manager.
"""

from collections.abc import Mapping

import msgspec

from weaver.deployers.certificates import Authority
from weaver.deployers.estate import Estate
from weaver.deployers.launch import undialled
from weaver.errors import ConfigError, UsageError
from weaver.manager.hosts import HostSpec


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
