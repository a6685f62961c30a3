"""What can be said of a replica from outside, as this process calls it."""

import msgspec


class PeerStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of one replica; latency in seconds, calls as counts."""

    replica: str
    address: str
    connected: bool
    ejected: bool
    in_flight: int
    latency: float
    made: int
