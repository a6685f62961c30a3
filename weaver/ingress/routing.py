"""Which version a request goes to, and which replica of it. Pure: time is an argument.

By weight in the order of smooth weighted round robin: after n requests every version is less than
one request away from its share, whatever connections they came on. It must not know of sockets.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec

from weaver.control.ingress import Backend, Table, VersionShare
from weaver.ingress import pinning

_HASHED: Final = 1 << 64


class Choice(msgspec.Struct, frozen=True):
    """A version and why: "weight", "cookie", "header" or "key"."""

    share: VersionShare
    by: str


class Router:
    """Chooses versions by one table after the other; credits carry over, so no request is lost."""

    def __init__(self, table: Table) -> None:
        self._credit: dict[str, int] = {}
        self.table = table
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
        self.table = table
        self._by_name = {share.version: share for share in table.shares}
        # Credits are a matter of the old weights: keeping them would shift the first requests.
        self._credit = dict.fromkeys(self._by_name, 0)
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
        share = self._by_weight()
        return Choice(share, "weight") if share is not None else None

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

    def _by_weight(self) -> VersionShare | None:
        best: VersionShare | None = None
        credit, total = self._credit, 0
        for share in self.table.shares:
            if share.weight:
                total += share.weight
                credit[share.version] += share.weight
                if best is None or credit[share.version] > credit[best.version]:
                    best = share
        if best is not None:
            credit[best.version] -= total
        return best


def _key(name: str, header: Callable[[str], str]) -> str:
    if name.startswith("cookie:"):
        return pinning.cookie(header("cookie"), name.removeprefix("cookie:"))
    return header(name)


def least_loaded(
    backends: Sequence[Backend], in_flight: Mapping[str, int], turn: int, without: Collection[str]
) -> Backend | None:
    """The backend with the fewest requests in flight; equal ones in turn. None if all are out."""
    best: Backend | None = None
    lowest = 0
    for i in range(len(backends)):
        backend = backends[(turn + i) % len(backends)]
        if backend.id in without:
            continue
        load = in_flight.get(backend.id, 0)
        if best is None or load < lowest:
            best, lowest = backend, load
    return best
