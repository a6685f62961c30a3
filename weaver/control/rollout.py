"""What the command line asks of a rollout, and what it is told. Tagged maps as in `messages`.

Decides how a rollout looks from outside. It must not know how it decides.
"""

from typing import Literal

import msgspec

from weaver.control.ingress import FailedRequest
from weaver.control.message import Fault, Message

Action = Literal["promote", "pause", "resume", "rollback", "abort", "supersede"]


class VersionReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version during a rollout.

    `deployment` and `version` are its id and build id; `weight` is its share of the requests, from
    0 to 1; `ready` of `wanted` replicas serve. What is counted, is counted since the step began:
    `requests`, `errors` of them, `rate` per second, `p50` and `p99` in seconds. Before it is
    `settled`, its manager does not know yet which replicas are ready.
    """

    deployment: str
    version: str
    weight: float = 0.0
    ready: int = 0
    wanted: int = 0
    requests: int = 0
    errors: int = 0
    in_flight: int = 0
    rate: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    settled: bool = True


# --- requests ---


class GetRollout(Message, frozen=True):
    """One `RolloutReport`. With `follow`, another one after every change, until it has ended."""

    follow: bool = False


class Steer(Message, frozen=True):
    """Intervene: go on at once, hold, go on in time, take back.

    "promote" skips the remaining steps, as far as ready replicas allow; where the old version is
    kept warm, it ends that. "rollback" and "abort" give everything back to the old version, and end
    the new one. "supersede" is said before another version is deployed: the rollout is to end, one
    way or the other.
    """

    action: Action


# --- answers ---


class RolloutReport(Message, frozen=True):
    """A rollout now.

    `phase` is one of those of `weaver.manager.rollout`, and "done" where only one version serves.
    `step` counts from 0 into `steps`, which are shares of the new version from 0 to 1. `held`:
    it was paused. `next_at` is when it goes on by itself, in seconds since the epoch, 0 for no such
    time. `versions` has the newest one first. `outcome` is one of those of `weaver.manager.rollout`
    once it is known. `verdict` is why it was taken back by itself, `evidence` the failed requests
    and `lines` the last lines of log that speak for it.
    """

    app: str
    phase: str
    held: bool = False
    step: int = 0
    steps: tuple[float, ...] = ()
    next_at: float = 0.0
    outcome: str = ""
    verdict: Fault | None = None
    versions: tuple[VersionReport, ...] = ()
    evidence: tuple[FailedRequest, ...] = ()
    lines: tuple[str, ...] = ()


ENDED = frozenset({"done", "withdrawn"})
"""The phases in which nothing is going to change any more."""
