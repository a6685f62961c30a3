"""A rollout on a stage: facts are told to it, and everything it wants done is kept."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from weaver.control.ingress import Backend, Counts, VersionCounts
from weaver.control.traffic import IngressReport, Traffic
from weaver.manager.observed import CrashLoop, HostView, Observed
from weaver.manager.rollout import effects, events
from weaver.manager.rollout.state import Front, Plan, Rollout, State, initial
from weaver.manager.rollout.step import step
from weaver.manager.rollout.traffic import standby

OLD, NEW = "shop-1", "shop-2"
PLAN = Plan(
    steps=(0.05, 0.5, 1.0), pause=30.0, keep_warm=600.0, fronts={"http": Front()},
    old_fronts={"http": Front()}, predecessors={"h1": "/run/old/control", "h2": "/run/old/control"},
)  # fmt: skip
E = TypeVar("E", bound=effects.Effect)


def backends(deployment: str, number: int) -> tuple[Backend, ...]:
    ids = (f"web-{i + 1}" for i in range(number))
    return tuple(Backend(name, f"unix:/run/{deployment}/{name}") for name in ids)


def view(deployment: str, ready: int = 2, wanted: int = 2, *, attached: bool = True) -> HostView:
    return HostView(attached, {"http": wanted}, {"http": backends(deployment, ready)})


class Scene:
    """Old and new are told to the rollout as they are; time passes only by `wait`."""

    def __init__(
        self, plan: Plan = PLAN, *, old: str = OLD, hosts: Iterable[str] = ("h1",), **record: Any
    ) -> None:
        self.now = 0.0
        self.old, self.hosts = old, tuple(hosts)
        self.state: State = initial(plan, Rollout(old=old, new=NEW, **record), epoch=3)
        self.effects: list[effects.Effect] = []
        self.counts: dict[tuple[str, str, str], Counts] = {}
        self.tell(events.Began())
        standing = {host: standby(plan, host) for host in self.hosts}
        if old:
            self.observe(OLD)
        self.observe(NEW, phase="starting", ready=0, traffic=standing)

    def tell(self, event: events.Event) -> list[effects.Effect]:
        self.state, done = step(self.state, event, self.now)
        self.effects += done
        return done

    def observe(
        self,
        deployment: str,
        *,
        phase: Any = "live",
        ready: int = 2,
        wanted: int = 2,
        hosts: Mapping[str, HostView] | None = None,
        traffic: dict[str, Traffic] | None = None,
        crash_loop: CrashLoop | None = None,
        **more: Any,
    ) -> list[effects.Effect]:
        views = {host: view(deployment, ready, wanted) for host in self.hosts}
        observed = Observed(
            phase=phase,
            hosts={**views, **(hosts or {})},
            traffic=traffic or {},
            crash_loop=crash_loop,
            **more,
        )
        return self.tell(events.VersionObserved(deployment, observed))

    def report(
        self,
        serving: int = 1,
        *,
        deployment: str = NEW,
        hosts: Iterable[str] | None = None,
        draining: int = 0,
        versions: Iterable[VersionCounts] = (),
        **more: Any,
    ) -> list[effects.Effect]:
        """What the ingress says, on all hosts or on these; `versions` are totals."""
        first = len(self.effects)
        for host in self.hosts if hosts is None else hosts:
            order = self.ordered(deployment, host).ingress.get("http")
            counts = Counts(order.table.number if order else 0, versions=tuple(versions))
            report = IngressReport("http", serving, draining, counts, **more)
            self.tell(events.IngressReported(deployment, host, report))
        return self.effects[first:]

    def wait(self, seconds: float) -> list[effects.Effect]:
        """Let time pass; timers fire when they are due."""
        first, until = len(self.effects), self.now + seconds
        while due := [(when, n) for n, when in self.state.timers.items() if when <= until]:
            self.now, name = min(due)
            self.tell(events.TimerFired(name))
        self.now = until
        return self.effects[first:]

    def steer(self, action: events.Action) -> list[effects.Effect]:
        return self.tell(events.Steered(action))

    def to(self, phase: str, step_number: int = 0) -> "Scene":
        """Let all go well until this phase, or this step."""
        for _ in range(100):
            if self.phase == phase and self.state.rollout.step >= step_number:
                return self
            self._go_on()
        raise AssertionError(f"{self.phase} and not {phase}")

    def _go_on(self) -> None:
        match self.phase:
            case "starting":
                self.observe(NEW)
            case "before" | "after":
                self.tell(events.HookEnded("before" if self.phase == "before" else "after"))
            case "opening":
                self.report()
            case "closing" | "withdrawing":
                self.report(1 if any(t.ingress for t in self.state.said[NEW].values()) else 0)
            case "retiring":
                self.observe(OLD, phase="stopped", result="stopped")
            case "removing":
                self.observe(NEW, phase="stopped", result="stopped")
            case _:
                self.wait(min(self.state.timers.values()) - self.now)

    @property
    def phase(self) -> str:
        return self.state.rollout.phase

    def ordered(self, deployment: str, host: str = "h1") -> Traffic:
        """What a version has been ordered last."""
        return self.state.said[deployment][host]

    def weights(self, host: str = "h1", deployment: str = NEW) -> dict[str, int]:
        """The weights at the listener of a host now."""
        shares = self.ordered(deployment, host).ingress["http"].table.shares
        return {share.version: share.weight for share in shares}

    def all(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def phases(self) -> list[str]:
        """All phases and steps there were, in order."""
        return [f"{s.rollout.phase} {s.rollout.step}" for s in self.all(effects.Save)]


def plan(**changes: Any) -> Plan:
    return msgspec.structs.replace(PLAN, **changes)
