"""Where calls can go: the replicas of each placement group, and who owns which keys.

The manager computes a `Routing` and pushes it; every proclet looks its calls up in it. This file
decides what a route says and how a key finds its owner; it must not know how an assignment is
computed (`weaver.manager`), nor what a connection is.
"""

import bisect
import functools
import hashlib
from typing import Final

import msgspec

KEY_SPACE: Final = 2**64
"""Keys are hashed to numbers below this one."""


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """A replica that takes calls, at "host:port" or "unix:/path".

    `host` is the name of the machine it runs on. Peers there dial `address`, those on other hosts
    `remote`, if there is one.
    """

    replica: str
    address: str
    host: str = ""
    remote: str = ""

    def address_from(self, host: str) -> str:
        """The address that a peer on `host` dials."""
        return self.remote if self.remote and host != self.host else self.address


class Assignment(msgspec.Struct, frozen=True):
    """Slices of the key space and their owners, for the routed methods of one group.

    Slice i begins at `starts[i]` (the first at 0), ends before the next one, and belongs to the
    replica `owners[i]`. `version` grows with every change. Without slices there is no owner.
    """

    version: int = 0
    starts: tuple[int, ...] = ()
    owners: tuple[str, ...] = ()

    def owner(self, key: int) -> str | None:
        """The replica that owns a hashed key, or None where nothing is assigned."""
        if not self.starts:
            return None
        return self.owners[bisect.bisect_right(self.starts, key) - 1]


class Route(msgspec.Struct, frozen=True):
    """One placement group as callers see it: its components, ready replicas, and key owners."""

    components: tuple[str, ...]
    endpoints: tuple[Endpoint, ...] = ()
    assignment: Assignment = Assignment()


class Routing(msgspec.Struct, frozen=True):
    """The routes of one deployment by group; a higher `version` replaces a lower one."""

    version: int = 0
    groups: dict[str, Route] = {}

    def route_of(self, component: str) -> Route | None:
        """The route of the group that hosts a component, if any does."""
        return next((r for r in self.groups.values() if component in r.components), None)


@functools.lru_cache(maxsize=1024)  # a page asks several times about the same user
def hash_key(encoded: bytes) -> int:
    """A routing key, as the codec encodes it, as a number below `KEY_SPACE`: alike everywhere."""
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")
