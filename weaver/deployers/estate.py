"""What a manager leaves with its envelopes, so that another one can go on where it stopped.

Decides what the next manager must know: what shall run, what has been decided since, and how high
its epoch must be. It holds secrets: it travels on control sockets, and is never written to a file.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from weaver.errors import ProtocolError
from weaver.manager.state import Desired, Spec

_encoder: Final = msgspec.msgpack.Encoder()


class Estate(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment as its manager knew it; `started` in seconds since the epoch.

    `command` is how an envelope is started on the manager's own machine; `pythons` are those of the
    release on each host, where hosts are reached over SSH, and `units` those of systemd there.
    `rollout` is the rollout that this version takes part in as the new one, as it was saved last;
    `good` is when it was seen to serve, in seconds since the epoch, or 0.
    """

    spec: Spec
    desired: Desired
    epoch: int
    revision: str = ""
    started: float = 0.0
    command: tuple[str, ...] = ()
    pythons: dict[str, str] = {}
    units: dict[str, str] = {}
    rollout: bytes = b""
    good: float = 0.0


def share_of(estate: Estate, host: str) -> Estate:
    """What this host may keep: of all private keys, only its own; others are made anew."""
    hosts = {
        name: msgspec.structs.replace(
            spec, certificates=spec.certificates if name == host else None, identities={}
        )
        for name, spec in estate.spec.hosts.items()
    }
    return msgspec.structs.replace(estate, spec=msgspec.structs.replace(estate.spec, hosts=hosts))


def put_together(shares: Mapping[str, Estate]) -> Estate:
    """The estate that the newest manager has left, from what each of some hosts has kept.

    A host that is not among them has no certificates in it: its envelope still has its own.
    """
    newest = max(shares.values(), key=lambda share: share.epoch)
    hosts = dict(newest.spec.hosts)
    for name, share in shares.items():
        own = share.spec.hosts.get(name)
        if name in hosts and own is not None:
            hosts[name] = msgspec.structs.replace(hosts[name], certificates=own.certificates)
    return msgspec.structs.replace(newest, spec=msgspec.structs.replace(newest.spec, hosts=hosts))


def encode_estate(estate: Estate) -> bytes:
    """The bytes that envelopes keep."""
    return _encoder.encode(estate)


def decode_estate(data: bytes) -> Estate:
    """The estate in what an envelope has kept. Raises ProtocolError for anything else."""
    try:
        return msgspec.msgpack.decode(data, type=Estate)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(
            "what the last manager has left cannot be read",
            why=str(error),
            fix="take over with the weaver that deployed it",
        ) from error
