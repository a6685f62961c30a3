"""In which order the groups of a deployment end: those that call before those that are called.

A request that is being served when the end begins still reaches every component it needs. Decides
whose turn it is; each turn has a deadline, after which the next begins all the same.
"""

from collections.abc import Mapping

from weaver.control.messages import End
from weaver.manager.placement import Group
from weaver.manager.scaling import retire
from weaver.manager.turn import Turn


def proceed(turn: Turn) -> None:
    """Let the next groups end when those before them have."""
    while turn.state.phase == "stopping" and turn.state.keeping:
        keeping = set(turn.state.keeping)
        distrusted = {e.host for e in turn.state.envelopes.values() if e.distrusted}
        ending = (r for r in turn.state.replicas.values() if r.group not in keeping)
        if any(replica.host not in distrusted for replica in ending):
            return
        advance(turn)


def advance(turn: Turn) -> None:
    """Let the next groups end now. The last ones end with their envelopes."""
    keeping = turn.state.keeping
    ending = next_to_end(turn.state.spec.groups, keeping)
    rest = tuple(name for name in keeping if name not in ending)
    turn.set(keeping=rest, until=turn.now + turn.patience())
    if not rest:
        turn.broadcast(End())
        return
    for replica in list(turn.state.replicas.values()):
        if replica.group in ending:
            retire(turn, replica)


def next_to_end(groups: Mapping[str, Group], running: tuple[str, ...]) -> set[str]:
    """The groups that no other running one calls; all of them where they call in a circle.

    The entry's group counts as calling all others: code that is no component may do so.
    """
    called = {
        name
        for caller in running
        for name in (running if groups[caller].entry else groups[caller].calls)
        if name != caller
    }
    return {name for name in running if name not in called} or set(running)
