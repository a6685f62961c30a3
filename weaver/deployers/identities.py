"""What the hosts of a version show to replicas of the versions before it, whose CA is another one.

The ingress of a host that the version before is not on, or has no replica of, reaches it on other
hosts. Decides who can be reached so; it must not know when.
"""

from collections.abc import Sequence

import msgspec

from weaver.control.certificates import Certificates
from weaver.deployers.certificates import Authority
from weaver.deployers.estate import Estate
from weaver.manager.hosts import HostSpec


def acquainted(estates: Sequence[Estate]) -> list[Estate]:
    """The same versions, the newest first, of which each can reach those after it here."""
    return [_introduced(each, estates[number:]) for number, each in enumerate(estates, 1)]


def _introduced(estate: Estate, older: Sequence[Estate]) -> Estate:
    hosts = {
        name: msgspec.structs.replace(host, identities=_of(name, host, older))
        for name, host in estate.spec.hosts.items()
    }
    return msgspec.structs.replace(estate, spec=msgspec.structs.replace(estate.spec, hosts=hosts))


def _of(name: str, host: HostSpec, older: Sequence[Estate]) -> dict[str, Certificates]:
    """Nothing for a host that other hosts do not dial, nor of versions that listen for none."""
    found: dict[str, Certificates] = {}
    for estate in older:
        signer, deployment = estate.spec.signer, estate.spec.application.deployment
        if signer is not None and host.address:
            authority = Authority(deployment, signer.certificate, signer.key)
            found[deployment] = authority.certificates(name, always=signer.always)
    return found
