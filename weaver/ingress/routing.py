"""Which version a request goes to. Pure.

By weight in the order of smooth weighted round robin: after n requests every version is less than
one request away from its share, whatever connections they came on. It must not know of sockets.
"""

import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec

from weaver.control.ingress import Table, VersionShare
from weaver.ingress import pinning

_HASHED: Final = 1 << 64
_LONGEST_CYCLE: Final = 10_000
"""Requests after which the order begins again also where the weights do not come out even."""


class Choice(msgspec.Struct, frozen=True):
    """A version and why: "weight", "cookie", "header" or "key"."""

    share: VersionShare
    by: str


class Router:
    """Chooses versions by one table after the other.

    `turns` has the versions of requests that nothing pins, one by one; none if none has a weight.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.turns = _turns(table.shares)
        self.set_table(table)

    def set_table(self, table: Table) -> bool:
        """Use `table` from now on, unless it is older than the present one; whether it is used.

        Raises ValueError for a network that is none, or a negative weight.
        """
        if table.number < self.table.number:
            return False
        if any(share.weight < 0 for share in table.shares):
            raise ValueError("a weight is negative")
        networks = tuple(ip_network(text) for text in table.pinning.trusted)
        self._networks: tuple[IPv4Network | IPv6Network, ...] = networks
        weights = [(share.version, share.weight) for share in table.shares]
        if weights != [(share.version, share.weight) for share in self.table.shares]:
            # The order is a matter of the old weights. With the same weights it goes on, or a
            # version of little weight might never have its turn.
            self.turns = _turns(table.shares)
        self.table = table
        self._by_name = {share.version: share for share in table.shares}
        pins = table.pinning
        self.pinned = bool(pins.cookie or pins.header or pins.key)
        return True

    def trusts(self, client: str) -> bool:
        """Whether `client`, an IP address or "" for a Unix socket, is in a trusted network."""
        if not self._networks:
            return False
        try:
            address = ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def choose(self, header: Callable[[str], str], client: str) -> Choice | None:
        """The version of one request; `header` gives a request header's value, or "".

        None if no version has a weight and none is pinned.
        """
        pins = self.table.pinning
        if pins.header and self.trusts(client):
            share = self._by_name.get(header(pins.header))
            if share is not None:
                return Choice(share, "header")
        if pins.cookie:
            share = self._by_name.get(pinning.version_in(header("cookie"), pins))
            if share is not None and share.weight:
                return Choice(share, "cookie")
        if pins.key:
            value = _key(pins.key, header)
            share = self._by_key(value) if value else None
            if share is not None:
                return Choice(share, "key")
        share = self.by_weight()
        return Choice(share, "weight") if share is not None else None

    def by_weight(self) -> VersionShare | None:
        """The version of a request that nothing pins; None if none has a weight."""
        return self._by_name.get(next(self.turns, ""))

    def _by_key(self, value: str) -> VersionShare | None:
        """By rank of the value's hash: shifting weight moves only keys that have to move."""
        total = sum(share.weight for share in self.table.shares)
        digest = hashlib.blake2b(value.encode(errors="surrogateescape"), digest_size=8).digest()
        rank = int.from_bytes(digest) * total // _HASHED
        for share in self.table.shares:
            if rank < share.weight:
                return share
            rank -= share.weight
        return None


def _turns(shares: Sequence[VersionShare]) -> Iterator[str]:
    """The versions in the order in which they have requests, over and over."""
    weighty = [share for share in shares if share.weight]
    divisor = math.gcd(*(share.weight for share in weighty))
    order = _order(tuple(share.weight // divisor for share in weighty))
    return itertools.cycle([weighty[i].version for i in order])


@functools.lru_cache(maxsize=8)
def _order(weights: Sequence[int]) -> Sequence[int]:
    """Smooth weighted round robin: indices of `weights`, each as often as it says."""
    total, order = sum(weights), list[int]()
    credit = [0] * len(weights)
    for _ in range(min(total, _LONGEST_CYCLE)):
        credit = [had + weight for had, weight in zip(credit, weights, strict=True)]
        best = credit.index(max(credit))
        credit[best] -= total
        order.append(best)
    return order


def _key(name: str, header: Callable[[str], str]) -> str:
    if name.startswith("cookie:"):
        return pinning.cookie(header("cookie"), name.removeprefix("cookie:"))
    return header(name)
