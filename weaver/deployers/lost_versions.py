"""How a version ended of which nothing runs any more, where its manager was gone before it said.

What had been decided of it by then, the journals of its rollouts say; that its processes are gone,
whoever calls this knows.
"""

from typing import Final

import msgspec

from weaver.deployers import registry
from weaver.deployers.directories import state_directory
from weaver.deployers.journal import Journal
from weaver.deployers.registry import Record
from weaver.errors import WeaverError
from weaver.manager.rollout.state import Rollout

TAKEN_BACK: Final = frozenset({"withdrawing", "removing", "withdrawn"})
REPLACED: Final = frozenset({"retiring", "done"})
"""Phases of a rollout in which its new version, and its old one, is on its way out."""


def close_lost(record: Record) -> None:
    """Note that a deployment has ended; as its rollout would have, where that ended it.

    No manager answers for it: if one has noted its end, that stays.
    """
    if registry.latest(record).ended:
        return
    own = _rollout(record)
    if own is not None and own.new == record.deployment and own.phase in TAKEN_BACK:
        known = msgspec.structs.replace(record, evidence=own.evidence)
        registry.ended(known, result_of(own), own.fault)
        return
    others = [r for r in registry.records(record.app) if r.deployment != record.deployment]
    to_others = [_rollout(other) for other in others if not other.ended]
    replaced = any(
        rollout.old == record.deployment and rollout.phase in REPLACED
        for rollout in to_others
        if rollout is not None
    )
    registry.ended(record, "replaced" if replaced else "lost")


def result_of(rollout: Rollout) -> str:
    """What the record of a version that was taken back says."""
    return "withdrawn" if rollout.outcome in {"", "failed"} else rollout.outcome


def _rollout(record: Record) -> Rollout | None:
    """What was saved of the rollout to a version; None where that cannot be had."""
    folder = state_directory("journals", record.app) / record.deployment
    if not folder.is_dir():
        return None
    try:
        with Journal(folder) as journal:
            return msgspec.msgpack.decode(journal.rollout(), type=Rollout)
    except (WeaverError, msgspec.MsgspecError):
        return None  # another manager is in charge of it, or the journal is damaged
