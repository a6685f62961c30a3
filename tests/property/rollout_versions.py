"""Two versions on some hosts, and the ingress before them, as a rollout's world has them."""

import dataclasses

from weaver.control.ingress import Backend, Counts, VersionCounts
from weaver.control.messages import Fault
from weaver.control.traffic import IngressReport, Traffic
from weaver.manager.observed import CrashLoop, HostView, Observed
from weaver.manager.state import Phase, Result

OLD, NEW = "shop-1", "shop-2"
HOSTS = ("h1", "h2", "h3", "h4")
ONLY_OLD, ONLY_NEW = "h3", "h4"
"""Hosts where one version has no replicas; both are on the others."""
LISTENERS: tuple[str, ...] = ("http", "admin")


@dataclasses.dataclass
class Side:
    """One version on one host. `has` is what its envelope has been told, when it was attached."""

    wanted: int
    ready: int
    attached: bool = True
    has: Traffic | None = None


@dataclasses.dataclass
class Version:
    """One version; `ordered` is in its machine's desired state, which survives managers."""

    name: str
    sides: dict[str, Side]
    phase: Phase = "live"
    result: Result = ""
    loops: bool = False
    settled: bool = True
    ordered: dict[str, Traffic] = dataclasses.field(default_factory=dict[str, Traffic])

    @property
    def runs(self) -> bool:
        return self.phase in {"starting", "live"}

    def observed(self) -> Observed:
        return Observed(
            phase=self.phase,
            result=self.result,
            settled=self.settled,
            hosts={host: self.view(host) for host in self.sides},
            traffic=self.ordered,
            crash_loop=CrashLoop("web-1", Fault("it exits")) if self.loops else None,
        )

    def view(self, host: str) -> HostView:
        side = self.sides[host]
        backends = tuple(Backend(f"web-{i}", f"unix:/{self.name}/{i}") for i in range(side.ready))
        others = tuple(Backend(b.id, f"tls:{self.name}.{host}:{b.id[4:]}") for b in backends)
        names = LISTENERS if side.wanted else ()
        return HostView(
            side.attached,
            dict.fromkeys(names, side.wanted),
            dict.fromkeys(names, backends),
            dict.fromkeys(names, others),
        )


@dataclasses.dataclass
class Workers:
    """The ingress of one listener. `rising`: it does not serve yet, or was `killed`."""

    serving: int = 0
    draining: int = 0
    rising: bool = True
    killed: bool = False
    counts: dict[str, tuple[int, int]] = dataclasses.field(
        default_factory=dict[str, tuple[int, int]]
    )

    def report(self, listener: str, number: int) -> IngressReport:
        versions = tuple(VersionCounts(v, n, e) for v, (n, e) in sorted(self.counts.items()))
        counts = Counts(number, versions=versions)
        return IngressReport(listener, self.serving, self.draining, counts)
