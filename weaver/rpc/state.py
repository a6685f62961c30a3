"""What can be said of a connection from outside: its state, and its counts."""

from enum import Enum

import msgspec


class State(Enum):
    """Where a connection is in its life; the docstring of `connection` has a paragraph for each."""

    NEW = "new"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot. Queued, reserved, received and sent are bytes; the others are counts.

    `partial` are the large bodies of which a part has come, `reserved` what they will need.
    """

    state: State
    outgoing: int
    incoming: int
    made: int
    taken: int
    refused: int
    queued: int
    partial: int
    reserved: int
    received: int
    sent: int
