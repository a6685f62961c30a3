"""Whether the components and replicas that `weaver logs` is asked for are ones that there are.

A log without a line looks the same as one of a name that is misspelled.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weaver.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from weaver.control.operator import GroupReport


def check_log_names(
    app: str, component: str, replica: str, groups: "Sequence[GroupReport]"
) -> None:
    """Refuse a component or replica that no group has; empty names mean all.

    One that a group may have had before is let through. Raises UsageError.
    """
    if not groups:  # nothing is known yet
        return
    full = {name for group in groups for name in group.components}
    names = full | {name.rpartition(".")[2] for name in full}
    if component and component not in names:
        short = sorted({name.rpartition(".")[2] for name in full})
        raise _unknown("component", component, app, short)
    known = [group.name for group in groups]
    group, _, number = replica.rpartition("-")
    if replica and replica not in known and not (group in known and number.isdigit()):
        ids = [one.id for group in groups for one in group.replicas]
        raise _unknown("replica or group", replica, app, [*known, *ids])


def _unknown(kind: str, name: str, app: str, known: list[str]) -> UsageError:
    fix = did_you_mean(name, known)
    return UsageError(f'{app} has no {kind} "{name}"', fix=f"{fix} See: weaver status {app}")
