"""Which version of an application users are served by, where a new one is to follow it."""

from typing import TYPE_CHECKING

from weaver.cli.former import running
from weaver.cli.render_rollout import SERVED, versions_of
from weaver.cli.rollout_follow import rollout_of
from weaver.deployers.manager_client import is_managed

if TYPE_CHECKING:
    from weaver.deployers.registry import Record


def serving(app: str) -> "Record | None":
    """The version that a new one would follow: while a rollout runs, the old one of it."""
    found = [record for record in running(app) if is_managed(record)]
    if len(found) < 2:
        return found[0] if found else None
    report = rollout_of(found[0])
    _, old = versions_of(report)
    if old is None or report.phase in SERVED:
        return found[0]
    return next((record for record in found if record.deployment == old.deployment), found[0])
