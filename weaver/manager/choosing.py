"""Where something is to be done beside a replica: names that people write become a host."""

from weaver.errors import UsageError, WeaverError, did_you_mean
from weaver.manager.state import State


def host_for(state: State, group: str, replica: str = "") -> str:
    """The host of a replica that takes calls, or of the one that is named.

    Raises UsageError for a group or replica that does not exist, WeaverError where none runs.
    """
    if group not in state.spec.groups:
        raise UsageError(f'there is no group "{group}"', fix=did_you_mean(group, state.spec.groups))
    own = {r.id: r for r in state.replicas.values() if r.group == group}
    if replica:
        if replica not in own:
            raise UsageError(
                f'group {group} has no replica "{replica}"', fix=did_you_mean(replica, own)
            )
        return own[replica].host
    ready = [found.host for found in own.values() if found.stage == "ready"]
    if not ready:
        raise WeaverError(
            f"no replica of group {group} takes calls",
            why=", ".join(f"{r.id} is {r.stage}" for r in own.values()) or "it has none",
            fix="see `weaver status` and `weaver events`",
        )
    return ready[0]
