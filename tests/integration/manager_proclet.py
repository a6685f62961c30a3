"""A proclet without components, for tests of manager and envelope: registers, answers, stops.

It is the `--runtime` of envelopes, so it imports no pytest.
"""

import socket
from typing import Any

from weaver.control.messages import (
    Application,
    Heartbeat,
    Hosting,
    Probe,
    Probed,
    RegisterReplica,
    Stop,
    ToProclet,
)
from weaver.control.stream import Codec, Receiver, encode


def load(application: Application) -> object:
    """Imports nothing."""
    return application.target


def run_replica(hosting: Hosting, control: socket.socket, preloaded: object) -> int:
    """Behaves as a proclet does whose components need no time."""
    own = hosting.application
    address = f"unix:{hosting.directory}/{hosting.replica}.{hosting.incarnation}"
    control.sendall(
        encode(RegisterReplica(address, hosting.order.components, own.version, own.deployment))
    )
    print("serving", hosting.replica, flush=True)
    receiver: Receiver[Any] = Receiver(Codec(ToProclet))
    control.settimeout(hosting.heartbeat)
    while True:
        try:
            data = control.recv(65536)
        except TimeoutError:
            control.sendall(encode(Heartbeat()))
            continue
        if not data:
            return 0
        for message in receiver.feed(data):
            if isinstance(message, Probe):
                control.sendall(encode(Probed(message.nonce, own.deployment, own.version)))
            if isinstance(message, Stop):
                return 0
