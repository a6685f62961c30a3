"""How many replicas a group whose number is a range is to have, by how busy they are.

More at once when they are busier than `target_load`; fewer only when that has been enough for a
while, so that a pause between two waves of calls costs nothing.
"""

import math
from collections.abc import Mapping
from typing import Final

from weaver.manager.placement import Group
from weaver.manager.scaling import scale
from weaver.manager.settle import wanted_in
from weaver.manager.turn import Turn

CALM: Final = 60.0
"""Seconds for which fewer replicas must have been enough."""

TOLERANCE: Final = 0.1
"""How far above its target a load may be before it counts: measurements are not exact."""


def follow(turn: Turn, loads: Mapping[str, float]) -> None:
    """Scale the groups with a range. `loads` maps replicas to shares of their capacity, 0 to 1."""
    if turn.state.phase != "live" or turn.state.adopting:
        return
    for name, group in turn.state.spec.groups.items():
        if group.most is not None:
            _follow(turn, name, group, loads)


def _follow(turn: Turn, name: str, group: Group, loads: Mapping[str, float]) -> None:
    wanted = wanted_in(turn.state, name)
    ready = [r.id for r in turn.state.replicas.values() if r.group == name and r.stage == "ready"]
    measured = [loads[replica] for replica in ready if replica in loads]
    if len(ready) != wanted or not measured:
        return  # it is changing: what the others carry now says little about afterwards
    enough = wanted * sum(measured) / len(measured) / group.target_load
    needed = max(group.least, min(math.ceil(enough - TOLERANCE), group.most or wanted))
    calm = dict(turn.state.calm)
    since = calm.pop(name, turn.now)
    if needed > wanted:
        scale(turn, name, min(needed, 2 * wanted))  # more than double is more likely an error
    elif needed < wanted and turn.now - since < CALM:
        calm[name] = since
    elif needed < wanted:
        scale(turn, name, wanted - 1)  # one by one, each after its own calm
    if calm != turn.state.calm:
        turn.set(calm=calm)
