"""Whether each host can reach each other one at the address that peers will dial.

All listen and dial at once, while they are examined; so this takes as many threads as there are
hosts, which only wait. The ports are chosen among those that the system gives to replicas, so that
a firewall shows. Decides who is asked about whom, and what the answers mean.
"""

import random
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from weaver.deployers.ssh.preflight.findings import Finding, Verdict, finding
from weaver.deployers.ssh.preflight.judge import Examined

MOST: Final = 100
"""Hosts that try each other; of more, the first so many."""

SECONDS: Final = 6.0
"""How long hosts wait for each other after the last one that they have met. They do not begin at
the same moment, as a login takes longer on some; and one that gives up too early stops a deploy."""

LONGEST: Final = 30.0
"""How long they wait at most, in seconds."""

# Of each host. On one that is busy, connections to elsewhere hold a third of them and more, and a
# host that has none of its own looks as if it could not be reached.
_PORTS: Final = 8
_RANGE: Final = range(33_000, 59_000)


class Peer(msgspec.Struct, frozen=True):
    """A host that takes part: `address` is what others dial."""

    name: str
    address: str


def meetings(
    peers: Sequence[Peer], taken: Collection[int] = (), *, seconds: float = SECONDS
) -> dict[str, dict[str, object]]:
    """What each host is asked about the others, by its name; nothing if it is alone.

    `taken` are ports that something else is about to try.
    """
    peers = peers[:MOST]
    if len(peers) < 2:
        return {}
    token = secrets.token_hex(8)
    free = [port for port in _RANGE if port not in taken]
    chosen = random.sample(free, _PORTS * len(peers))
    ports = {p.name: chosen[_PORTS * i : _PORTS * (i + 1)] for i, p in enumerate(peers)}
    return {
        peer.name: {
            "name": peer.name,
            "ports": ports[peer.name],
            "peers": [[p.name, p.address, ports[p.name]] for p in peers if p is not peer],
            "token": token,
            "seconds": seconds,
            "most": LONGEST,
        }
        for peer in peers
    }


def judge_peers(examined: Sequence[Examined], asked: Sequence[Peer]) -> dict[str, Finding]:
    """Who cannot reach whom, by host; nothing is said of hosts that cannot be deployed to."""
    usable = {each.host for each in examined if each.python is not None}
    addresses = {peer.name: peer.address for peer in asked[:MOST] if peer.name in usable}
    if len(addresses) < 2:
        return {}
    found: dict[str, Finding] = {}
    for each in examined:
        if each.host in addresses and each.facts is not None:
            verdict = _judge(each.facts.met, each.facts["met"], addresses)
            found[each.host] = finding(each.host, "peers", verdict)
    return found


def _judge(met: Mapping[str, str] | None, said: str, addresses: Mapping[str, str]) -> Verdict:
    if met is None:
        why = said.removeprefix("failed").strip()[-300:] or "it answered nothing"
        return Verdict("warn", "its peers are not examined", why)
    return judge_reach({name: met[name] for name in met if name in addresses}, addresses)


def judge_reach(told: Mapping[str, str], addresses: Mapping[str, str]) -> Verdict:
    """What it means that some peers cannot be reached; `told` has the reasons, "" for none."""
    lost = {name: reason for name, reason in told.items() if reason}
    if not lost:
        return Verdict("ok", f"{len(told)} reached")
    listed = "\n".join(
        f"{name} at {addresses.get(name, '?')}: {reason}" for name, reason in sorted(lost.items())
    )
    return Verdict(
        "fail",
        f"it cannot reach {len(lost)} of its {len(told)} peers",
        listed,
        "open TCP between the hosts (ports 32768 to 60999, or what ip_local_port_range says), or "
        "name an address that peers can dial with address= in the list of hosts",
    )
