"""Examine hosts side by side, each within its own time: the first step of every deploy.

Decides how many are asked at once and that one host which fails, or does not answer, hides nothing
of the others. Blocks; the caller owns the connections.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight.findings import Finding, Verdict, finding
from weaver.deployers.ssh.preflight.judge import Examined, judge, judge_together
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.peers import Peer, reach
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
) -> Preflight:
    """Examine all hosts; `told` is called in their threads, as each has answered.

    `connect` gives a connected host, or raises WeaverError, and has its own deadline; `timeout` in
    seconds bounds what follows. `dialled` is the address that peers use.
    """
    remotes: dict[str, Remote] = {}

    def examine(host: Host) -> Examined:
        examined = _examine(host, connect, needs, timeout, remotes)
        told(examined)
        return examined

    examined = judge_together(side_by_side(examine, hosts, at_once=AT_ONCE))
    peers = [
        Peer(host.name, dialled(host), each.python.path)
        for host, each in zip(hosts, examined, strict=True)
        if each.python is not None
    ]
    reached = {found.host: found for found in reach(peers, remotes, timeout=timeout)}
    return Preflight(
        tuple(each.also(reached[each.host]) if each.host in reached else each for each in examined)
    )


def _examine(
    host: Host,
    connect: Callable[[Host], Remote],
    needs: Needs,
    timeout: float,
    remotes: dict[str, Remote],
) -> Examined:
    began = time.monotonic()
    try:
        remote = connect(host)
        took = time.monotonic() - began
        facts = probe(remote, host, needs.listeners, timeout=timeout)
    except WeaverError as error:
        why = error.why or (f"at {error.where}" if error.where else "")
        verdict = Verdict("fail", error.what, why, error.fix)
        return Examined(host=host.name, findings=(finding(host.name, "connect", verdict),))
    remotes[host.name] = remote
    connected = finding(host.name, "connect", Verdict("ok", f"{took * 1000:.0f} ms"))
    examined = judge(host.name, facts, needs)
    return msgspec.structs.replace(examined, findings=(connected, *examined.findings))
