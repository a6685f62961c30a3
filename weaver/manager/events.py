"""What can happen to a manager: reports of envelopes, commands of people, and time.

An event holds all that the step needs, so that a log of events replays to the same state. Messages
of a connection carry its session: those of an earlier one are ignored.
"""

import msgspec

from weaver.control.messages import (
    Attached,
    Ended,
    EnvelopeFailed,
    Failed,
    Fault,
    Fenced,
    ListenerHeld,
    Probed,
    RegisterReplica,
    ReplicaExited,
    ReplicaStarted,
    StartComponent,
)
from weaver.control.traffic import Traffic

FromHost = Attached | Fenced | ReplicaStarted | ReplicaExited | ListenerHeld | EnvelopeFailed
FromReplica = RegisterReplica | StartComponent | Probed | Failed | Ended


class Happened(msgspec.Struct, frozen=True, tag=True):
    """Base of all events; the name of the class is its tag."""


class Began(Happened, frozen=True):
    """The control loop runs: the first event of every log."""


class TimerFired(Happened, frozen=True):
    """The time of a timer has come."""

    name: str


class HostSaid(Happened, frozen=True):
    """An envelope reports something."""

    host: str
    session: int
    message: FromHost


class ReplicaSaid(Happened, frozen=True):
    """A proclet reports something, through its envelope."""

    host: str
    session: int
    replica: str
    incarnation: int
    message: FromReplica


class EnvelopeLost(Happened, frozen=True):
    """The connection to an envelope has ended. `gone`: so has its process, with all replicas.

    `silent`: it was ended here, for nothing was heard of it any more.
    """

    host: str
    session: int
    reason: str = ""
    gone: bool = False
    silent: bool = False


class ReachFailed(Happened, frozen=True):
    """An envelope could neither be connected to nor started."""

    host: str
    session: int
    fault: Fault


class ScaleRequested(Happened, frozen=True):
    """Run this many replicas of a group."""

    group: str
    replicas: int


class TrafficOrdered(Happened, frozen=True):
    """How users reach the replicas on each host from now on; replaces what was ordered before."""

    traffic: dict[str, Traffic]


class LoadMeasured(Happened, frozen=True):
    """How busy replicas were since the last time: shares of their capacity, from 0 to 1."""

    loads: dict[str, float]


class StopRequested(Happened, frozen=True):
    """End every replica; `at_once` without draining."""

    at_once: bool = False


class Broke(Happened, frozen=True):
    """The control loop cannot do its work: no desired state can be saved, for example."""

    fault: Fault


Event = (
    Began | Broke | TimerFired | HostSaid | ReplicaSaid | EnvelopeLost | ReachFailed
    | ScaleRequested | TrafficOrdered | LoadMeasured | StopRequested
)  # fmt: skip
