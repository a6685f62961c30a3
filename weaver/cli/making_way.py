"""How a rollout that is under way makes way for another version: the newest one supersedes it."""

import contextlib
import time
from typing import TYPE_CHECKING, Final

from weaver.cli.former import running
from weaver.cli.rollout_follow import rollout_of
from weaver.cli.taking_over import take_over
from weaver.control.rollout import Steer
from weaver.deployers.manager_client import ask, is_managed
from weaver.errors import Unreachable, WeaverError

if TYPE_CHECKING:
    from weaver.deployers.registry import Record

WAY: Final = 120.0
"""Seconds for a rollout that is under way to be taken back, and its version to be stopped."""

UNDER_WAY: Final = frozenset({"", "retiring", "done", "withdrawing", "removing", "withdrawn"})
"""Phases in which a version is ending already: that is waited for. "" is not known."""


def make_way(app: str, most: int = 2) -> int:
    """End a rollout that is under way here: the newest version supersedes it. Raises WeaverError.

    Returns how many versions are left that a manager here has: what serves, and those kept warm, as
    long as one more may run where `most` may at once.
    """
    found = running(app)
    if len(found) > 1 and not any(is_managed(record) for record in found):
        take_over(found[0])
    told: set[tuple[str, int]] = set()
    deadline = time.monotonic() + WAY
    while len(found := _managed(app)) > 1:
        phase = _phase(found[0])
        if phase == "warm" and len(found) < most:
            break
        if phase not in UNDER_WAY and (found[0].deployment, len(found)) not in told:
            with contextlib.suppress(Unreachable):  # it ends at this moment, or its manager does
                for _ in ask(found[0], Steer("supersede")):
                    pass
                told.add((found[0].deployment, len(found)))
        if time.monotonic() > deadline:
            raise WeaverError(
                f"the rollout of {app} that is under way does not end",
                where=f"deployment {found[0].deployment}",
                fix=f"see what it does: weaver status {app}; weaver events {app}",
            )
        time.sleep(0.02)
    return len(found)


def _phase(record: "Record") -> str:
    """Where the rollout is that a version takes part in; "" while that cannot be had."""
    try:
        return rollout_of(record).phase
    except Unreachable:
        return ""


def _managed(app: str) -> "list[Record]":
    return [record for record in running(app) if is_managed(record)]
