"""What a connection tells its driver: one class per thing that can happen.

A call that was made ends with exactly one of `Reply`, `End` or `Failed`, unless the caller
cancelled it: then with none. A call that was received begins with `Request` and may be withdrawn by
`Cancelled`. This file decides the vocabulary and what each outcome says about execution; it must
not know how frames or calls are kept.
"""

from enum import IntEnum
from typing import Final, Literal

import msgspec

from weaver.errors import (
    ConnectionLost,
    DeadlineExceeded,
    Overloaded,
    ProtocolError,
    RemoteCallError,
)
from weaver.rpc.handshake import Hello


class Outcome(IntEnum):
    """Why a call has no result; the number travels in the error frame. `executed` says the rest."""

    APPLICATION = 1  # the method raised; the body is the encoded exception
    REFUSED = 2
    OVERLOADED = 3
    DRAINING = 4
    EXPIRED = 5  # the deadline had passed before the method began
    DEADLINE = 6  # the deadline passed while it ran
    CANCELLED = 7
    FAILED = 8  # the runtime of the callee failed after the method began
    LOST = 9  # the connection ended
    UNSENT = 10  # it ended before a byte of the request had left

    @property
    def executed(self) -> Literal["no", "maybe", "yes"]:
        """Whether the method ran: "yes" only where the application itself answered."""
        return _EXECUTED.get(self, "maybe")


_EXECUTED: Final[dict[Outcome, Literal["no", "maybe", "yes"]]] = {
    Outcome.APPLICATION: "yes",
    Outcome.REFUSED: "no",
    Outcome.OVERLOADED: "no",
    Outcome.DRAINING: "no",
    Outcome.EXPIRED: "no",
    Outcome.UNSENT: "no",
}


class Opened(msgspec.Struct, frozen=True, gc=False):
    """The peer has introduced itself and belongs to the same deployment and build."""

    hello: Hello


class Request(msgspec.Struct, frozen=True, gc=False):
    """The peer calls a method. `deadline_ms` is what remains, 0 for none.

    `streaming` asks for items: answer with `send_item` and `send_end`, else with `send_reply`.
    """

    call: int
    method: int
    body: bytes
    deadline_ms: int = 0
    trace: bytes = b""
    metadata: bytes = b""
    streaming: bool = False


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """Nobody waits for this received call any more: stop it. Answers to it are dropped."""

    call: int


class Credit(msgspec.Struct, frozen=True, gc=False):
    """A received streaming call that had used up its credit may send items again."""

    call: int


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The result of a call; the call is over."""

    call: int
    body: bytes


class Item(msgspec.Struct, frozen=True, gc=False):
    """The next item of a stream. Grant more with `send_credit` when it has been consumed."""

    call: int
    body: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """The stream has ended; the call is over."""

    call: int


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The call is over without a result.

    `body` is the encoded exception for `Outcome.APPLICATION`, else a sentence in UTF-8 or nothing.
    """

    call: int
    outcome: Outcome
    body: bytes = b""


class PeerDraining(msgspec.Struct, frozen=True, gc=False):
    """The peer takes no new calls: use another replica. Calls in flight go on."""


class Drained(msgspec.Struct, frozen=True, gc=False):
    """After `drain()`: every call of the peer has ended at the peer, and no other will come."""


class Pong(msgspec.Struct, frozen=True, gc=False):
    """The peer has answered `ping(token)`."""

    token: int


class Closed(msgspec.Struct, frozen=True):
    """The last event. `error` says who broke the protocol; None for an ordinary end."""

    why: str
    error: ProtocolError | None = None


Event = (
    Opened | Request | Cancelled | Credit | Reply | Item | End | Failed
    | PeerDraining | Drained | Pong | Closed
)  # fmt: skip


def call_error(outcome: Outcome, body: bytes = b"", *, where: str = "") -> RemoteCallError:
    """The exception that a caller sees for every outcome but `Outcome.APPLICATION`.

    `where` names the callee. The exception's `executed` is "no" only where that is certain.
    """
    what = body.decode("utf-8", "replace") or _SENTENCES[outcome]
    match outcome:
        case Outcome.OVERLOADED:
            return Overloaded(what, where=where)
        case Outcome.EXPIRED:
            return DeadlineExceeded(what, executed="no", where=where)
        case Outcome.DEADLINE:
            return DeadlineExceeded(what, executed="maybe", where=where)
        case Outcome.LOST:
            return ConnectionLost(what, executed="maybe", where=where)
        case Outcome.UNSENT:
            return ConnectionLost(what, executed="no", where=where)
        case _:
            certain = outcome.executed == "no"
            return RemoteCallError(what, executed="no" if certain else "maybe", where=where)


_SENTENCES: Final = {
    Outcome.APPLICATION: "the method raised an exception",
    Outcome.REFUSED: "the callee refused the call",
    Outcome.OVERLOADED: "the callee is overloaded",
    Outcome.DRAINING: "the callee is draining",
    Outcome.EXPIRED: "the deadline passed before the call began",
    Outcome.DEADLINE: "the deadline passed while the call ran",
    Outcome.CANCELLED: "the call was cancelled",
    Outcome.FAILED: "the callee failed to answer",
    Outcome.LOST: "the connection was lost while the call was in flight",
    Outcome.UNSENT: "the connection was lost before the call was sent",
}
