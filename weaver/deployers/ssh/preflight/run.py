"""Examine hosts side by side, each within its own time: the first step of every deploy.

Decides how many are asked at once, that each is asked once, about its peers too, and that one host
which fails, or does not answer, hides nothing of the others. Blocks; the caller owns the
connections.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight.findings import Finding, Verdict, finding
from weaver.deployers.ssh.preflight.judge import Examined, judge, judge_together
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.peers import LONGEST, SECONDS, Peer, judge_peers, meetings
from weaver.deployers.ssh.preflight.probe import probe
from weaver.deployers.ssh.preflight.side_by_side import side_by_side
from weaver.deployers.ssh.remote import Remote
from weaver.errors import WeaverError

AT_ONCE: Final = 16
"""Hosts that are connected to and asked at the same time."""

TIMEOUT: Final = 30.0
"""Seconds for one host's answer, after it is connected."""


class Preflight(msgspec.Struct, frozen=True):
    """What was found, in the order of the hosts."""

    hosts: tuple[Examined, ...]

    @property
    def failed(self) -> tuple[Examined, ...]:
        """Where a deploy would fail."""
        return tuple(host for host in self.hosts if host.failed)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of all hosts."""
        return tuple(found for host in self.hosts for found in host.findings)


def address_of(host: Host) -> str:
    """What its peers dial, as far as the list of hosts tells."""
    return host.address or host.host


def run_preflight(
    hosts: Sequence[Host],
    connect: Callable[[Host], Remote],
    needs: Needs,
    *,
    timeout: float = TIMEOUT,
    told: Callable[[Examined], None] = lambda _examined: None,
    dialled: Callable[[Host], str] = address_of,
    patience: float = SECONDS,
) -> Preflight:
    """Examine all hosts; `told` is called in their threads, as each has answered.

    `connect` gives a connected host, or raises WeaverError, and has its own deadline; `timeout` in
    seconds bounds what follows, beside the `patience` of hosts for each other. `dialled` is the
    address that peers use; it is asked for of hosts that are connected.
    """

    def reach(host: Host) -> _Reached | Examined:
        reached = _reach(host, connect)
        if isinstance(reached, Examined):
            told(reached)
        return reached

    # Only those that are connected can be asked about each other, and all at the same time.
    reached = side_by_side(reach, hosts, at_once=AT_ONCE)
    peers = [Peer(r.host.name, dialled(r.host)) for r in reached if isinstance(r, _Reached)]
    asked = meetings(peers, [each.port for each in needs.listeners], seconds=patience)

    def examine(one: _Reached | Examined) -> Examined:
        if isinstance(one, Examined):
            return one
        meeting = asked.get(one.host.name)
        examined = _examine(one, needs, meeting, timeout + (LONGEST if meeting else 0))
        told(examined)
        return examined

    examined = judge_together(side_by_side(examine, reached, at_once=max(AT_ONCE, len(asked))))
    found = judge_peers(examined, peers)
    return Preflight(
        tuple(each.also(found[each.host]) if each.host in found else each for each in examined)
    )


class _Reached(NamedTuple):
    """A host that is connected, which took so many seconds."""

    host: Host
    remote: Remote
    took: float


def _reach(host: Host, connect: Callable[[Host], Remote]) -> _Reached | Examined:
    began = time.monotonic()
    try:
        return _Reached(host, connect(host), time.monotonic() - began)
    except WeaverError as error:
        return _failed(host, error)


def _examine(
    reached: _Reached, needs: Needs, meeting: Mapping[str, object] | None, timeout: float
) -> Examined:
    host, remote, took = reached
    try:
        facts = probe(remote, host, needs.listeners, timeout=timeout, meeting=meeting)
    except WeaverError as error:
        return _failed(host, error)
    connected = finding(host.name, "connect", Verdict("ok", f"{took * 1000:.0f} ms"))
    examined = judge(host.name, facts, needs)
    return msgspec.structs.replace(examined, findings=(connected, *examined.findings))


def _failed(host: Host, error: WeaverError) -> Examined:
    why = error.why or (f"at {error.where}" if error.where else "")
    verdict = Verdict("fail", error.what, why, error.fix)
    return Examined(host=host.name, findings=(finding(host.name, "connect", verdict),))
