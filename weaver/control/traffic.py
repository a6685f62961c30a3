"""Who takes users' connections on a host, and what ingress workers there are told and report.

Decides what a manager may order of the traffic of one version on one host. Standing orders, like
those about replicas: an envelope keeps to them while no manager is connected.
"""

import msgspec

from weaver.control.ingress import Counts, FailedRequest, Table
from weaver.control.message import Message


class IngressOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands between users and replicas at one listener of one host.

    `mode` is "proxy" for workers of our own, or "haproxy" for a driver of the HAProxy whose runtime
    socket is `socket`. There are `workers` of our own, or one for each core of the host if that is
    more, up to `most_workers`. `certificate` and `key` are files of that host.
    """

    table: Table
    mode: str = "proxy"
    workers: int = 1
    most_workers: int = 0
    certificate: str = ""
    key: str = ""
    socket: str = ""


class Traffic(msgspec.Struct, frozen=True, omit_defaults=True):
    """How users reach the replicas of one version on one host.

    `accepting`: replicas take connections from the listeners' sockets themselves. `ingress` maps
    listeners to what stands before them; its workers belong to the envelope of this version, and
    drain when their listener is no longer in it. `predecessor` is the control socket of another
    envelope on this host, which holds the listeners already: they are taken over from it, never
    bound anew while it lives.
    """

    accepting: bool = True
    ingress: dict[str, IngressOrder] = {}
    predecessor: str = ""


class IngressReport(Message, frozen=True):
    """Envelope to manager: the ingress of one listener, once a second and when workers change.

    `serving` is the number of workers that accept connections, `draining` of those that end.
    `counts` are sums over all workers there have been under these orders, also those that died;
    `failures` are requests that failed since the report before.
    """

    listener: str
    serving: int = 0
    draining: int = 0
    counts: Counts = Counts(0)
    failures: tuple[FailedRequest, ...] = ()
