"""What `promote`, `pause`, `abort` and `rollback` share: the word to the manager of a rollout."""

from typing import TYPE_CHECKING

from weaver.control.rollout import Action, RolloutReport, Steer

if TYPE_CHECKING:
    from weaver.deployers.registry import Record


def steer(record: "Record", action: Action) -> RolloutReport:
    """Intervene in the rollout of an application; how it stands then. Raises WeaverError."""
    from weaver.cli.rollout_follow import rollout_of
    from weaver.deployers.manager_client import ask

    for _ in ask(record, Steer(action)):
        pass
    return rollout_of(record)
