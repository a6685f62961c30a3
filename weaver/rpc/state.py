"""What can be said of a connection from outside: its state, and its counts.

NEW: our hello is queued, the peer's has not come. Requests may be queued behind our hello; nothing
of the peer is executed. Only a hello or a refusal is accepted. A hello of another deployment, build
or method table ends the connection: both sides report the same sentence.

OPEN: everything but a hello is accepted. When the peer announces that it drains, `send_request`
raises and `PeerDraining` tells the driver; when our last call has ended, we confirm.

DRAINING: `drain()` was called. New requests of the peer are answered "draining, not executed";
calls in flight go on in both directions. When the peer confirms that it has none left and will make
none, `Drained` is reported; the driver then closes when its own calls are done.

CLOSED: `close`, `eof`, `fail`, or a fault of the peer. Every call in flight has been reported as
failed, every received call as cancelled, `Closed` was the last event. Bytes that come are ignored;
a last refusal may be left to send, which tells the peer what it did wrong.

=========  ==========================================  ==================
state      frames accepted                             next state
=========  ==========================================  ==================
NEW        hello, refusal                              OPEN, CLOSED
OPEN       all but hello                               DRAINING, CLOSED
DRAINING   all but hello                               CLOSED
CLOSED     none (ignored)
=========  ==========================================  ==================
"""

from enum import Enum

import msgspec


class State(Enum):
    """Where a connection is in its life; a paragraph of the module's docstring is about each."""

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
