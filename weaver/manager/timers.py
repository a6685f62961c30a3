"""The waits of a machine as timers: what is to be set and forgotten, told by comparing both.

Decides nothing about what is waited for, nor what follows when a time has come.
"""

from collections.abc import Mapping

import msgspec


class SetTimer(msgspec.Struct, frozen=True):
    """Report `TimerFired(name)` at this time of the loop's clock; replaces one of that name."""

    name: str
    when: float


class CancelTimer(msgspec.Struct, frozen=True):
    """Forget a timer."""

    name: str


def changes(
    running: Mapping[str, float], wanted: Mapping[str, float]
) -> list[SetTimer | CancelTimer]:
    """What makes the wanted timers of those that run."""
    new = [SetTimer(name, when) for name, when in wanted.items() if running.get(name) != when]
    return [*new, *(CancelTimer(name) for name in running if name not in wanted)]
