"""Which versions run on beneath a rollout, although they take no part in it.

Each is the one that the version above it can still go back to: were that one to serve again, it
would be kept warm for it as before. Decides who that is; it must not know when they end.
"""

from collections.abc import Sequence

import msgspec

from weaver.deployers.session import Session
from weaver.manager.rollout.state import Rollout


def saved(session: Session) -> Rollout | None:
    """The rollout to a version as it was saved last; None if nothing that can be read was."""
    try:
        return msgspec.msgpack.decode(session.journal.rollout(), type=Rollout)
    except msgspec.MsgspecError:
        return None


def beneath(sessions: Sequence[Session], rollout: Rollout, most: int) -> list[str]:
    """The deployments that run on, the newest first, where `most` versions may run at once.

    `sessions` has all versions, the newest first; the first two take part in `rollout`, or none is
    kept.
    """
    found: list[str] = []
    names = [session.deployment for session in sessions]
    if names[:2] != [rollout.new, rollout.old]:
        return found
    for upper, lower in zip(sessions[1:], names[2:most], strict=False):
        before = saved(upper)
        if before is None or before.phase != "warm" or before.old != lower:
            break
        found.append(lower)
    return found
