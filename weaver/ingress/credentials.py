"""What this process shows to replicas on other hosts, and what they have to show: by version.

Decides that no connection leaves the host without mutual TLS. Each version has a CA of its own, so
nothing that one version trusts says anything about another. It must not know what is asked there.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from weaver.control.certificates import Certificates
from weaver.transport import dialing
from weaver.transport.tls import Identity, identity_of

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Credentials:
    """The identities of this process; there are none until `learn`."""

    def __init__(self) -> None:
        self._identities: dict[str, Identity] = {}

    def learn(self, versions: Mapping[str, Certificates]) -> None:
        """Use these from the next connection on."""
        found = {version: identity_of(given) for version, given in versions.items()}
        self._identities = {name: identity for name, identity in found.items() if identity}

    async def connect(self, version: str, address: str, create: Callable[[], P]) -> P:
        """A connection to a replica of `version` at "host:port" that has shown to be one.

        Raises OSError; ssl.SSLError, a subclass, for a peer that is none.
        """
        identity = self._identities.get(version)
        if identity is None:
            raise PermissionError(f"there is no certificate for replicas of {version}")
        return await dialing.connect(address, create, identity)
