"""How many replicas a new version begins with: as many as the old one has grown to."""

from collections.abc import Mapping

from weaver.manager.placement import Group


def numbers(groups: Mapping[str, Group], running: Mapping[str, int]) -> dict[str, int]:
    """Replicas by group for those that are scaled by load, from what the old version runs.

    `running` is its `Desired.replicas`. With the least number of its range instead, a new version
    would be ready, and get all users' requests, before it has grown to what they need. Numbers that
    people have written stay as they are written.
    """
    return {
        name: max(group.least, min(running[name], group.most))
        for name, group in groups.items()
        if group.most is not None and name in running
    }
