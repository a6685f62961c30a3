"""What `promote`, `pause`, `abort` and `rollback` share: the word to the manager of a rollout."""

from typing import TYPE_CHECKING

from weaver.control.rollout import Action, Steer

if TYPE_CHECKING:
    from weaver.deployers.registry import Record
    from weaver.errors import UsageError


def steer(record: "Record", action: Action) -> None:
    """Intervene in the rollout of an application. Raises WeaverError."""
    from weaver.deployers import registry
    from weaver.deployers.manager_client import ask
    from weaver.errors import Unreachable, UsageError

    try:
        for _ in ask(record, Steer(action)):
            pass
    except UsageError as error:
        raise _by_version(error, record.app) from None
    except Unreachable:
        latest = registry.latest(record)
        if latest.ended:
            raise _over(latest) from None
        if latest.pid == record.pid:
            raise
        steer(latest, action)  # it has another manager since


def _over(record: "Record") -> "UsageError":
    from weaver.cli.versions import short
    from weaver.errors import UsageError

    return UsageError(
        f"{record.app} {short(record.version)} has ended already",
        why=f"it is {record.result}",
        fix=f"see what runs: weaver status {record.app}; and what did: weaver history {record.app}",
    )


def _by_version(error: "UsageError", app: str) -> "UsageError":
    """A refusal, which names deployments, by the versions that people know."""
    from weaver.cli.versions import short
    from weaver.deployers import registry
    from weaver.errors import UsageError

    parts = [error.what, error.where, error.why, error.fix]
    for record in registry.records(app):
        parts = [part.replace(record.deployment, short(record.version)) for part in parts]
    what, where, why, fix = parts
    return UsageError(what, where=where, why=why, fix=fix)
