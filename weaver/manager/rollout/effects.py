"""What a rollout wants done. The rollout loop does it, in order, and reports back by events."""

import msgspec

from weaver.control.ingress import FailedRequest
from weaver.control.messages import Fault
from weaver.control.traffic import Traffic
from weaver.manager import timers
from weaver.manager.rollout.events import Hook
from weaver.manager.rollout.state import Outcome, Rollout

SetTimer = timers.SetTimer
CancelTimer = timers.CancelTimer


class OrderTraffic(msgspec.Struct, frozen=True):
    """Give a version's machine `TrafficOrdered` with this; hosts that are missing keep nothing."""

    deployment: str
    traffic: dict[str, Traffic]


class RunHook(msgspec.Struct, frozen=True):
    """Run the command of a hook once. Answered by `HookEnded`."""

    which: Hook


class CancelHook(msgspec.Struct, frozen=True):
    """End the process of a hook that still runs; no answer is needed."""

    which: Hook


class EndVersion(msgspec.Struct, frozen=True):
    """Stop a version in order. Answered by `VersionObserved` with phase "stopped"."""

    deployment: str


class Save(msgspec.Struct, frozen=True):
    """Keep this, durably, before any later effect is carried out."""

    rollout: Rollout


class Report(msgspec.Struct, frozen=True):
    """Something worth telling a person."""

    kind: str
    text: str


class Finished(msgspec.Struct, frozen=True):
    """The rollout is over; said once. The loop goes on: events still lead to orders of traffic.

    With outcome "fenced", it ends, and touches nothing.
    """

    outcome: Outcome
    fault: Fault | None = None
    evidence: tuple[FailedRequest, ...] = ()


Effect = (
    OrderTraffic | RunHook | CancelHook | EndVersion | Save | SetTimer | CancelTimer | Report
    | Finished
)  # fmt: skip
