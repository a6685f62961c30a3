"""How much, and how long, one peer of the ingress may take.

Decides the defaults. It must not know who watches over them.
"""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of the ingress. Sizes in bytes, times in seconds.

    `header_time` runs from a request's first byte to the end of its head, `idle_time` between
    requests, `stall_time` while a peer of a message or tunnel neither sends nor takes bytes,
    `response_time` from the end of a request to the head of its answer, `quiet_time` between the
    bytes of an answer or a tunnel. While draining, a connection without a request stays open for
    `farewell_time`; one that is closed is read for `linger_time`, so that no reset destroys what
    was sent. `tick` is how often these are looked at, and so how late they may be noticed.
    A replica that has requests and sends nothing is probed after `probe_after` or, if that is
    longer, three times what 99 % of requests take, but never later than `probe_most`.
    Connections to replicas are kept for `upstream_idle_time`, `upstream_idle` for each replica.
    """

    head_bytes: int = 32 * 1024
    pipelined_bytes: int = 64 * 1024
    connections: int = 10_000
    header_time: float = 10.0
    idle_time: float = 75.0
    stall_time: float = 60.0
    quiet_time: float = 3600.0
    response_time: float = 60.0
    connect_time: float = 2.0
    probe_after: float = 0.1
    probe_most: float = 1.0
    linger_time: float = 1.0
    farewell_time: float = 2.0
    tick: float = 0.5
    upstream_idle: int = 64
    upstream_idle_time: float = 4.0
    attempts: int = 3
