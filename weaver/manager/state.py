"""What the manager knows and wants: one immutable value.

`Spec` is what it was told to run, `Desired` what has been decided since and must survive the
manager, the rest what envelopes have reported. Nothing in here is changed in place: dictionaries
are replaced, never written to.
"""

from typing import Final, Literal

import msgspec

from weaver.control.certificates import Signer
from weaver.control.messages import Application, Fault, Orders
from weaver.control.restarts import Heartbeats, Restarts
from weaver.control.traffic import Traffic
from weaver.manager.hosts import HostSpec, Slot
from weaver.manager.placement import Group
from weaver.routing import Assignment, Routing

Stage = Literal["ordered", "starting", "probing", "ready", "down", "restarting", "stopping", "lost"]
"""Of a replica. ordered: no process is known yet; starting: its process runs; probing: all its
components have started; ready: it answered the probe, and is routed; down: it ended, and its
envelope starts it again; restarting: it is being replaced; stopping: it is no longer wanted; lost:
its envelope has not been reached for too long."""

Reach = Literal["waiting", "reaching", "attached", "ended"]
"""Of an envelope. waiting: until the next attempt; reaching: it is being started or connected to;
attached: it takes orders; ended: it has stopped everything, on request."""

Phase = Literal["starting", "live", "stopping", "stopped"]

Result = Literal["", "ended", "stopped", "failed", "fenced"]
"""Why a deployment stops. ended: the entry's main returned; stopped: by command; fenced: another
manager has taken over, and nothing is stopped."""


class Waits(msgspec.Struct, frozen=True):
    """How long the manager waits for what, in seconds, before it does something about it."""

    deploy: float = 120.0
    """For a deployment to become live; then it has failed."""
    start: float = 60.0
    """For a replica to start; then it is replaced."""
    probe: float = 5.0
    """For the answer to a probe; then it is asked again, `probes` times in all."""
    probes: int = 3
    reach: float = 30.0
    """For an envelope to be started or connected to."""
    retry: float = 0.1
    """Between the first two attempts to reach an envelope; doubling up to `retry_most`."""
    retry_most: float = 5.0
    trust: float = 10.0
    """For a lost envelope to come back, before its replicas get no more calls."""
    silent: float = 1.0
    """The same for one that has fallen silent: its host may be frozen. Twice as long each time that
    it happens again within `steady`, up to `trust`."""
    steady: float = 120.0
    """After a silence, until the next one counts as the first."""
    moved: float = 60.0
    """For a lost envelope to come back, before its replicas are started on other hosts."""
    adopt: float = 15.0
    """For replicas of an earlier manager to be found again, before routing is changed."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What shall run, and on which hosts, by name.

    `application` and `hosts` may hold secrets, and `secret` is one, which signs cookies that keep
    clients in a version: a spec is not written to disk. `signer` is for hosts that join later, None
    where there can be none. `on_manager_lost` is
    what envelopes do without a manager: "end" soon, "continue", or "stop" after `stop_after`
    seconds. `foreground`: the run fails when an envelope's process ends; else the envelope is
    started again. `outlives_entry`: the deployment goes on when the entry's main has returned.
    `variables` of the environment have set keys of `[rollout]` and `[listeners]` when it was
    deployed: they count as long as it runs, whichever manager it has.
    """

    application: Application
    groups: dict[str, Group]
    hosts: dict[str, HostSpec]
    restarts: Restarts = Restarts()
    heartbeats: Heartbeats = Heartbeats()
    stop_timeout: float = 10.0
    on_manager_lost: str = "end"
    stop_after: float = 0.0
    foreground: bool = False
    outlives_entry: bool = False
    secret: bytes = b""
    signer: Signer | None = None
    variables: dict[str, str] = {}
    waits: Waits = Waits()


class StandIn(msgspec.Struct, frozen=True):
    """A replica that runs elsewhere because its host was lost; `home` is that host.

    `successor` is the replica that takes over from it there, once it is ready; "" for none yet.
    """

    home: str
    successor: str = ""


class Desired(msgspec.Struct, frozen=True):
    """What has been decided and must survive the manager. Free of secrets.

    `slots` maps replica ids to their places; `homes` says who owns which slices while all replicas
    of a group are ready. `live`: the deployment has been live once. `leaving` are replicas that are
    not wanted any more and may still run: their names are not used again until their end has been
    confirmed. `away` are hosts that were lost for too long, and `stand_ins` the replicas that run
    elsewhere for that reason. `traffic` maps hosts to how users reach the replicas there; where one
    is missing, replicas take connections themselves.
    """

    replicas: dict[str, int] = {}
    slots: dict[str, Slot] = {}
    homes: dict[str, Assignment] = {}
    live: bool = False
    leaving: dict[str, Slot] = {}
    away: tuple[str, ...] = ()
    stand_ins: dict[str, StandIn] = {}
    traffic: dict[str, Traffic] = {}


class Replica(msgspec.Struct, frozen=True):
    """One replica. `until` is when its stage has lasted too long, 0 where it may last.

    `started` is in seconds since the epoch, all other times are of the control loop's clock.
    `address` is where replicas on its host dial it, `remote` where those on other hosts do;
    `serving` maps listeners to where an ingress on its host does, `beyond` to where one of other
    hosts does. `proven`: it has been ready once;
    `adopted`: an earlier manager has started it.
    """

    id: str
    group: str
    host: str
    stage: Stage = "ordered"
    until: float = 0.0
    incarnation: int = 0
    pid: int = 0
    restarts: int = 0
    started: float = 0.0
    address: str = ""
    remote: str = ""
    serving: dict[str, str] = {}
    beyond: dict[str, str] = {}
    nonce: str = ""
    probes: int = 0
    proven: bool = False
    adopted: bool = False
    crash_loop: bool = False
    fault: Fault | None = None


class Envelope(msgspec.Struct, frozen=True):
    """One envelope. `session` numbers the attempts to reach it: what comes from others is old.

    `until` is when its state has lasted too long. While it is lost, `trusted` is when its replicas
    lose their routes and `moving` when they are started elsewhere. All are 0 where they do not
    apply. `distrusted`: `trusted` has passed. It has fallen silent `silences` times, lastly at
    `silent`. `orders` is what it was sent last.
    """

    host: str
    reach: Reach = "waiting"
    session: int = 0
    attempts: int = 0
    until: float = 0.0
    trusted: float = 0.0
    distrusted: bool = False
    silences: int = 0
    silent: float = 0.0
    moving: float = 0.0
    pid: int = 0
    orders: Orders | None = None
    listeners: dict[str, str] = {}


class State(msgspec.Struct, frozen=True):
    """All that the manager knows. `timers` maps the names of those that are set to their times.

    `epoch` is larger than that of every earlier manager, and begins all numbers this one gives out.
    `seed` makes the nonces of probes its own. `unended` are hosts that may still run replicas when
    all is over: they could not be told to end, or not be heard of it. `calm` says since when a
    group could do with less; `keeping` which groups still run while others end.
    """

    spec: Spec
    epoch: int
    seed: str
    phase: Phase = "starting"
    result: Result = ""
    fault: Fault | None = None
    until: float = 0.0
    adopting: float = 0.0
    at_once: bool = False
    keeping: tuple[str, ...] = ()
    unended: tuple[str, ...] = ()
    desired: Desired = Desired()
    replicas: dict[str, Replica] = {}
    envelopes: dict[str, Envelope] = {}
    routing: Routing = Routing()
    timers: dict[str, float] = {}
    orders: int = 0
    nonces: int = 0
    calm: dict[str, float] = {}


EPOCH_SHIFT: Final = 32
"""Versions of routings and numbers of orders count up from epoch << 32: they never go back."""


def initial(spec: Spec, *, epoch: int, seed: str, desired: Desired | None = None) -> State:
    """The state of a manager that begins, or of one that goes on where an earlier one ended.

    `desired` is what the earlier one had saved for this deployment; its replicas are found again
    before routing is changed.
    """
    first = epoch << EPOCH_SHIFT
    return State(
        spec=spec,
        epoch=epoch,
        seed=seed,
        phase="live" if desired is not None and desired.live else "starting",
        desired=desired or Desired(),
        envelopes={host: Envelope(host) for host in spec.hosts},
        routing=Routing(first),
        orders=first,
        adopting=float("inf") if desired is not None and desired.live else 0.0,
    )
