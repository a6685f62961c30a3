"""The working copy of one step of a rollout: the state as it becomes, and what is to be done.

Decides how a step changes a state that is never changed in place. It must not know what events
mean.
"""

from typing import Any

import msgspec

from weaver.manager.rollout.effects import Effect, Report
from weaver.manager.rollout.state import State


class Turn:
    """One step at time `now`: `state` is replaced, `effects` are collected in order."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.effects: list[Effect] = []

    def set(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.state = msgspec.structs.replace(self.state, **changes)

    def decide(self, **changes: Any) -> None:
        """Replace fields of what must survive the manager."""
        self.set(rollout=msgspec.structs.replace(self.state.rollout, **changes))

    def report(self, kind: str, text: str) -> None:
        """Tell a person."""
        self.effects.append(Report(kind, text))
