"""What a rollout knows and wants: one immutable value.

`Plan` is what it was told, `Rollout` what has been decided since and must survive the manager, the
rest what was observed and said. Nothing in here is changed in place: dictionaries are replaced,
never written to.
"""

from typing import Final, Literal

import msgspec

from weaver.control.ingress import Counts, FailedRequest, Pinning
from weaver.control.messages import Fault
from weaver.control.traffic import IngressReport, Traffic
from weaver.manager.observed import Observed
from weaver.manager.state import EPOCH_SHIFT

Phase = Literal[
    "starting", "before", "opening", "shifting", "closing", "after", "warm", "retiring", "done",
    "withdrawing", "removing", "withdrawn",
]  # fmt: skip
"""starting: the new version until it is live; before, after: a hook runs; opening: the ingress
begins, with all weight on the old version; shifting: step by step; closing: the new version takes
connections itself, and the ingress ends; warm: the old version serves nobody and runs on; retiring:
it is being stopped; done. withdrawing: the old version takes over and the ingress ends; removing:
the new version is being stopped; withdrawn."""

Outcome = Literal["", "promoted", "failed", "rolled back", "aborted", "superseded", "fenced"]
"""What became of it. failed: taken back by itself; rolled back, aborted, superseded: by command;
fenced: another manager has taken over, and nothing is touched."""

Mode = Literal["shared", "proxy", "haproxy"]


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """How users reach a listener while one version serves it, and by what in between otherwise.

    "shared": replicas take connections themselves, and workers of our own do during a rollout.
    The other fields are those of `weaver.control.traffic.IngressOrder`. `pinning` has no secret:
    that is the version's own.
    """

    mode: Mode = "shared"
    workers: int = 1
    most_workers: int = 0
    certificate: str = ""
    key: str = ""
    socket: str = ""
    pinning: Pinning = Pinning()


class Waits(msgspec.Struct, frozen=True):
    """How long a rollout waits for what, in seconds, before it does something about it.

    `opening`: for the ingress to serve on every host that is reached; then it is taken back.
    `closing`: for the ingress to end; then it goes on all the same. `hook`: for a command; then it
    counts as failed. `capacity`: for as many ready replicas as a step needs; then it is taken back.
    `ending`: for a version to be stopped; then that is reported, and the rollout is over.
    """

    opening: float = 30.0
    closing: float = 60.0
    hook: float = 600.0
    capacity: float = 120.0
    ending: float = 300.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the rollout is to go, from `[rollout]` and `[listeners]`.

    `steps` are shares of the new version from 0 to 1, rising to 1; times are in seconds. `before`
    and `after`: there is such a hook. `fronts` are the listeners of the new version, `old_fronts`
    those of the old one, as its weaver.toml has them. `predecessors` maps hosts to the control
    sockets of the old version's envelopes, `successors` to those of the new one's: an envelope that
    is started anew takes the listeners over from the other.
    """

    steps: tuple[float, ...] = (0.05, 0.25, 0.5, 1.0)
    pause: float = 30.0
    error_rate: float = 0.01
    p99_factor: float = 2.0
    keep_warm: float = 600.0
    before: bool = False
    after: bool = False
    fronts: dict[str, Front] = {}
    old_fronts: dict[str, Front] = {}
    predecessors: dict[str, str] = {}
    successors: dict[str, str] = {}
    waits: Waits = Waits()


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """What has been decided and must survive the manager. Free of secrets.

    `old` and `new` are deployment ids; `old` is "" where no version ran before. `step` is an index
    of the plan's steps. `held`: a person has paused it; `promoted`: the steps are skipped.
    `migrated`: its `before` hook has been begun. `fault` is why it was taken back, or what its
    `after` hook said; `evidence` are failed requests.
    """

    old: str
    new: str
    phase: Phase = "starting"
    step: int = 0
    held: bool = False
    promoted: bool = False
    migrated: bool = False
    outcome: Outcome = ""
    fault: Fault | None = None
    evidence: tuple[FailedRequest, ...] = ()


class Sample(msgspec.Struct, frozen=True):
    """Requests of one version over some time; `histogram` as in `weaver.telemetry.histogram`."""

    requests: int = 0
    errors: int = 0
    aborted: int = 0
    histogram: tuple[int, ...] = ()


Place = tuple[str, str, str]
"""Where an ingress runs: deployment, host, listener."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All that a rollout knows. Times are of the loop's clock, 0 where they do not apply.

    `said` is what each version was last ordered on each host, `tables` the last number of a table.
    `hook` is the hook that runs, and `hooked` the one that has ended. `ending` are versions that
    have been told to end. `fenced`: another manager has taken over.

    `until` is when the phase has lasted too long; `pausing` when the step has been watched for long
    enough, and `watched` that it has. `short` is when capacity has been missing for too long,
    `deaf` when an ingress has.

    `counted` is what each ingress had counted last, `window` what the versions did since the step
    began, and `baseline` what the old one did in the last step in which it got requests. `load` is
    its requests in flight divided by its share: at least 1, or 0 for unknown. `saturated` is since
    when the new version has had too many in flight. `seen` are its latest failed requests.
    """

    plan: Plan
    rollout: Rollout
    epoch: int
    observed: dict[str, Observed] = {}
    ingress: dict[Place, IngressReport] = {}
    said: dict[str, dict[str, Traffic]] = {}
    tables: int = 0
    hook: str = ""
    hooked: str = ""
    ending: tuple[str, ...] = ()
    finished: bool = False
    fenced: bool = False
    until: float = 0.0
    pausing: float = 0.0
    watched: bool = False
    short: float = 0.0
    deaf: float = 0.0
    timers: dict[str, float] = {}
    counted: dict[Place, Counts] = {}
    window: dict[str, Sample] = {}
    began: float = 0.0
    baseline: Sample = Sample()
    load: float = 0.0
    saturated: float = 0.0
    seen: tuple[FailedRequest, ...] = ()


TERMINAL: Final = frozenset({"done", "withdrawn"})
"""Phases after which a rollout is over; the traffic of the version that stays is still kept."""


def initial(plan: Plan, rollout: Rollout, *, epoch: int) -> State:
    """The state of a rollout that begins, or of one that goes on where an earlier manager ended.

    `rollout` is what that one had saved last, or `Rollout(old=..., new=...)`. `epoch` is larger
    than that of every earlier manager of either version.
    """
    return State(plan=plan, rollout=rollout, epoch=epoch, tables=epoch << EPOCH_SHIFT)
