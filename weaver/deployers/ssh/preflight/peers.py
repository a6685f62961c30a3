"""Whether each host can reach each other one at the address that peers will dial.

All listen and dial at once, so this takes as many threads as there are hosts; they only wait. The
ports are chosen among those that the system gives to replicas, so that a firewall shows.
"""

import json
import random
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from weaver.deployers.ssh.preflight.findings import Finding, Verdict, finding
from weaver.deployers.ssh.preflight.side_by_side import side_by_side
from weaver.deployers.ssh.remote import Remote
from weaver.errors import WeaverError

MOST: Final = 100
"""Hosts that try each other; of more, the first so many."""

SECONDS: Final = 5.0
"""How long hosts wait for each other."""

_SPARE: Final = 2  # ports of a host beside the first, in case that is in use
_FIRST, _LAST = 33_000, 59_000
_MARK: Final = "\nweaver-peers 1\n"
_PROGRAM: Final = Path(__file__).parent / "peer_program.py"


class Peer(msgspec.Struct, frozen=True):
    """A host that takes part: `address` is what others dial, `python` a path on the host."""

    name: str
    address: str
    python: str


def reach(
    peers: Sequence[Peer], remotes: Mapping[str, Remote], *, timeout: float
) -> tuple[Finding, ...]:
    """Who cannot reach whom: a finding per host. `timeout` is in seconds, beside SECONDS."""
    peers = peers[:MOST]
    if len(peers) < 2:
        return ()
    token = secrets.token_hex(8)
    step = _SPARE + 1
    first = random.randrange(_FIRST, _LAST - step * len(peers))  # noqa: S311 - no secret
    ports = {peer.name: [first + step * i + j for j in range(step)] for i, peer in enumerate(peers)}

    def ask(peer: Peer) -> Finding:
        others = [[p.name, p.address, ports[p.name]] for p in peers if p.name != peer.name]
        question = {
            "name": peer.name,
            "ports": ports[peer.name],
            "peers": others,
            "token": token,
            "seconds": SECONDS,
        }
        verdict = _ask(peer, remotes[peer.name], question, timeout + SECONDS)
        return finding(peer.name, "peers", verdict)

    return tuple(side_by_side(ask, peers, at_once=len(peers)))


def _ask(peer: Peer, remote: Remote, question: Mapping[str, object], timeout: float) -> Verdict:
    program = program_for(peer.python, question)
    try:
        done = remote.run("sh -s", stdin=program.encode(), timeout=timeout)
    except WeaverError as error:
        return Verdict("warn", "its peers are not examined", error.what, error.fix)
    _, found, text = done.stdout.decode(errors="replace").rpartition(_MARK)
    try:
        told = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        return Verdict("warn", "its peers are not examined", said or "it answered nothing")
    assert found
    addresses = {name: address for name, address, _ in _peers_of(question)}
    return judge_reach(told, addresses)


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


def program_for(python: str, question: Mapping[str, object]) -> str:
    """The program for a host's sh."""
    text = _PROGRAM.read_text(encoding="utf-8")
    words = [python, "-I", "-S", "-c", text, json.dumps(question)]
    return f"main() {{ exec {shlex.join(words)}; }}\nmain </dev/null\n"


def _peers_of(question: Mapping[str, object]) -> list[tuple[str, str, list[int]]]:
    return msgspec.convert(question["peers"], list[tuple[str, str, list[int]]])
