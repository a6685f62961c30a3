"""What can happen to a rollout: facts about both versions, reports of the ingress, and commands.

An event holds all that the step needs, so that a log of events replays to the same state.
"""

from typing import Literal

import msgspec

from weaver.control.messages import Fault
from weaver.control.traffic import IngressReport
from weaver.manager.observed import Observed

Action = Literal["pause", "resume", "promote", "rollback", "abort", "supersede"]
"""Of a person, but for supersede: a newer version is to be deployed, and this one makes way."""

Hook = Literal["before", "after"]


class Happened(msgspec.Struct, frozen=True, tag=True):
    """Base of all events; the name of the class is its tag."""


class Began(Happened, frozen=True):
    """The rollout loop runs: the first event of every log, also after a restart."""


class TimerFired(Happened, frozen=True):
    """The time of a timer has come."""

    name: str


class VersionObserved(Happened, frozen=True):
    """How a version is, as `observe` tells it: once at the beginning, and after every change.

    Nothing is ordered before both versions have been observed. One that runs no more, and is not
    found again after a restart, has phase "stopped".
    """

    deployment: str
    observed: Observed


class IngressReported(Happened, frozen=True):
    """What an envelope of a version says of the ingress of one listener."""

    deployment: str
    host: str
    report: IngressReport


class HookEnded(Happened, frozen=True):
    """A hook has ended. `lines` are the last ones it printed; `fault` is why it failed."""

    which: Hook
    fault: Fault | None = None
    lines: tuple[str, ...] = ()


class Steered(Happened, frozen=True):
    """A command. What cannot be done is reported and ignored; ask `steering.refusal` before."""

    action: Action


Event = Began | TimerFired | VersionObserved | IngressReported | HookEnded | Steered
