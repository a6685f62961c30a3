"""How a rollout that is under way makes way for another version: the newest one supersedes it."""

import time
from typing import TYPE_CHECKING, Final

from weaver.cli.former import running
from weaver.cli.taking_over import take_over
from weaver.control.rollout import Steer
from weaver.deployers.manager_client import ask, is_managed
from weaver.errors import WeaverError

if TYPE_CHECKING:
    from weaver.deployers.registry import Record

WAY: Final = 120.0
"""Seconds for a rollout that is under way to be taken back, and its version to be stopped."""


def make_way(app: str) -> None:
    """End a rollout that is under way here: the newest version supersedes it. Raises WeaverError.

    Returns when one version is left, and at once where no more than that runs.
    """
    found = running(app)
    if len(found) > 1 and not any(is_managed(record) for record in found):
        take_over(found[0])
    found = _managed(app)
    if len(found) < 2:
        return
    for _ in ask(found[0], Steer("supersede")):
        pass
    deadline = time.monotonic() + WAY
    while len(_managed(app)) > 1:
        if time.monotonic() > deadline:
            raise WeaverError(
                f"the rollout of {app} that is under way does not end",
                where=f"deployment {found[0].deployment}",
                fix=f"see what it does: weaver status {app}; weaver events {app}",
            )
        time.sleep(0.02)


def _managed(app: str) -> "list[Record]":
    return [record for record in running(app) if is_managed(record)]
