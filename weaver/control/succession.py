"""What one manager leaves to the next: kept by envelopes, so that any machine can take over.

Decides only that something is kept and given back. What is in it is the managers' own; it may hold
secrets, and so it is in the envelope's memory and never in a file.
"""

import msgspec


class Keep(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Manager to envelope: keep this for the next manager, in place of what was kept before."""

    memo: bytes


class Recall(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """To an envelope, instead of `Attach`: what has been kept? Nobody is fenced off by asking."""


class Memo(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The answer to `Recall`; `memo` is empty where no manager has left anything yet.

    `attended`: a manager is attached now. `hands_over`: it knows `TakeOver`, so another version can
    have the listeners.
    """

    deployment: str
    epoch: int
    memo: bytes = b""
    attended: bool = False
    hands_over: bool = False
