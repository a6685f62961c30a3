"""The hosts of a deployment: which groups may run on which, and where a new replica goes.

A replica goes where fewest of its group are, then where fewest are at all, and only where a slot is
free; what has a place keeps it. Decides places; it must not know whether a host can be reached.
"""

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from weaver.control.certificates import Certificates
from weaver.control.messages import Fault
from weaver.errors import did_you_mean
from weaver.manager.placement import Group


class HostSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A host. `slots` is how many replicas may run there at most; None: as many as there are.

    `labels` and `groups` are what `[groups.X] hosts` may select it by. `address` is the IP address
    or name that other hosts dial, "" where there are none; `certificates` are shown to them, and
    hold the host's own key. `identities` are what its ingress shows to replicas of other versions,
    by their deployments.
    """

    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    slots: int | None = None
    address: str = ""
    certificates: Certificates | None = None
    identities: dict[str, Certificates] = {}


class Slot(msgspec.Struct, frozen=True):
    """The place of one replica: it stays the same over restarts."""

    group: str
    host: str


def selectors(hosts: Mapping[str, HostSpec]) -> list[str]:
    """All that `[groups.X] hosts` may name: hosts, groups of hosts, and "tag:" with a label."""
    found = [name for host, spec in hosts.items() for name in _names(host, spec)]
    return list(dict.fromkeys(found))


def allowed(group: Group, hosts: Mapping[str, HostSpec]) -> list[str]:
    """The hosts that a group may run on."""
    if not group.hosts:
        return list(hosts)
    wanted = set(group.hosts)
    return [host for host, spec in hosts.items() if not wanted.isdisjoint(_names(host, spec))]


def _names(host: str, spec: HostSpec) -> tuple[str, ...]:
    return (host, *spec.groups, *(f"tag:{label}" for label in spec.labels))


class Places:
    """What is taken, and what is given out: `find` all replicas of one decision in turn."""

    def __init__(
        self,
        groups: Mapping[str, Group],
        hosts: Mapping[str, HostSpec],
        taken: Iterable[Slot],
        closed: Collection[str] = (),
    ) -> None:
        """`taken` are the places of replicas that stay; nothing is placed on a `closed` host."""
        self._hosts = hosts
        self._allowed = {
            name: [host for host in allowed(group, hosts) if host not in closed]
            for name, group in groups.items()
        }
        self._count = collections.Counter(taken)
        self._load = collections.Counter(slot.host for slot in self._count.elements())
        self._found: list[Slot | None] = []

    def has_room(self, host: str) -> bool:
        """Whether one more replica may run on a host."""
        slots = self._hosts[host].slots
        return slots is None or self._load[host] < slots

    def find(self, groups: Sequence[str]) -> list[Slot | None]:
        """A place for a replica of each of these groups, or None.

        As many are placed as there can be: one that has just got its place makes room for another
        that can go nowhere else.
        """
        for group in groups:
            free = [host for host in self._allowed[group] if self.has_room(host)]
            if free:
                host = min(free, key=lambda h: (self._count[Slot(group, h)], self._load[h], h))
                self._take(group, host)
            else:
                self._make_room(group)
        return self._found

    def _take(self, group: str, host: str) -> None:
        slot = Slot(group, host)
        self._found.append(slot)
        self._count[slot] += 1
        self._load[host] += 1

    def _make_room(self, group: str) -> None:
        """The shortest chain of moves, among those placed now, that ends where there is room."""
        came: dict[str, tuple[int, str] | None] = dict.fromkeys(self._allowed[group])
        waiting = collections.deque(came)
        while waiting:
            host = waiting.popleft()
            if self.has_room(host):
                self._take(group, self._shift(came, host))
                return
            for index, slot in enumerate(self._found):
                if slot is not None and slot.host == host:
                    for other in self._allowed[slot.group]:
                        if other not in came:
                            came[other] = (index, host)
                            waiting.append(other)
        self._found.append(None)

    def _shift(self, came: Mapping[str, tuple[int, str] | None], host: str) -> str:
        """Move replicas along the chain that ends at `host`; the host that has room then."""
        while (step := came[host]) is not None:
            index, origin = step
            moved = self._found[index]
            assert moved is not None
            new = Slot(moved.group, host)
            self._found[index] = new
            self._count[moved] -= 1
            self._count[new] += 1
            self._load[origin] -= 1
            self._load[host] += 1
            host = origin
        return host


def shortage(
    groups: Mapping[str, Group], hosts: Mapping[str, HostSpec], wanted: Mapping[str, int]
) -> Fault | None:
    """Why so many replicas of each group cannot run on these hosts together, or None if they can.

    `wanted` names the groups in the order in which they are served.
    """
    for name, count in wanted.items():
        if count and not allowed(groups[name], hosts):
            return _nowhere(name, groups[name], hosts)
    asked = [name for name, count in wanted.items() for _ in range(count)]
    places = Places(groups, hosts, ())
    found = collections.Counter(slot.group for slot in places.find(asked) if slot is not None)
    for name, count in wanted.items():
        if found[name] < count:
            return too_few(name, groups[name], hosts, count, found)
    return None


def _nowhere(name: str, group: Group, hosts: Mapping[str, HostSpec]) -> Fault:
    known = selectors(hosts)
    unknown = next((h for h in group.hosts if h not in known), "")
    return Fault(
        f"group {name} may run on no host there is",
        where=f"[groups.{name}] hosts = {', '.join(group.hosts)}",
        why=f"the hosts are: {', '.join(hosts) or 'none'}",
        fix=did_you_mean(unknown, known) or "name a host, a group of hosts or a tag of the hosts",
    )


def too_few(
    name: str, group: Group, hosts: Mapping[str, HostSpec], wanted: int, found: Mapping[str, int]
) -> Fault:
    """Why a group cannot have `wanted` replicas; `found` is how many of each group can run."""
    own = allowed(group, hosts)
    slots = ", ".join(f"{h} has {hosts[h].slots}" for h in own if hosts[h].slots is not None)
    others = sum(count for other, count in found.items() if other != name)
    beside = f", and {others} replicas of other groups are to run" if others else ""
    return Fault(
        f"group {name} is to have {wanted} replicas, but there is room for {found[name]}",
        where=f"[groups.{name}]",
        why=f"of the slots of its hosts, {slots}{beside}",
        fix="ask for fewer replicas, give its hosts more slots, or let it run on more hosts",
    )
