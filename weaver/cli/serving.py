"""Which version of an application users are served by, where a new one is to follow it."""

from typing import TYPE_CHECKING

from weaver.cli.former import running
from weaver.cli.render_rollout import SERVED, versions_of
from weaver.cli.rollout_follow import rollout_of
from weaver.deployers.manager_client import is_managed
from weaver.errors import Unreachable

if TYPE_CHECKING:
    from weaver.deployers.registry import Record


def serving(app: str) -> "Record | None":
    """The version that a new one would follow: while a rollout runs, the old one of it.

    Also one whose manager has gone: its replicas may serve on, and are taken over.
    """
    while True:
        found = [record for record in running(app) if not record.foreground]
        managed = [record for record in found if is_managed(record)]
        if len(managed) < 2:
            return next(iter(managed or found), None)
        try:
            report = rollout_of(managed[0])
            break
        except Unreachable:
            if is_managed(managed[0]):
                raise
            # It has ended since, or its manager has: look again.
    _, old = versions_of(report)
    if old is None or report.phase in SERVED:
        return managed[0]
    return next((r for r in managed if r.deployment == old.deployment), managed[0])
