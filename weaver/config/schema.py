"""The tables of weaver.toml as frozen records: every key, its type, its default, what it means.

Decides what may be written and what holds when nothing is. It must not know how text becomes these
records, nor which components exist. `weaver.toml.example` shows each key in use.
"""

import ipaddress
import re
from typing import Annotated, Any, Final, Literal

import msgspec

from weaver.config.units import Duration, Percent, Size
from weaver.config.words import Address, ManagerLost, Name, Target

LEAST_SILENCE = 0.5
"""Seconds: garbage collection and a busy machine silence a healthy process for less."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Count = Annotated[int, msgspec.Meta(ge=1)]


class Table(msgspec.Struct, frozen=True):
    """Base of all tables."""


class AppTable(Table, frozen=True):
    """`[app]`: the application itself."""

    name: Name = Name()
    """How the application is called in `weaver status`; default: the entry's package."""
    entry: Target | None = None
    """What runs: a component, or an existing ASGI/WSGI application "pkg.module:app"."""
    timeout: Duration = Duration(30)
    """Default deadline of a remote call."""
    env: dict[str, str] = {}
    """Environment variables set before the application is imported."""
    max_message: Size = Size(64 * 1024**2)
    """Largest value that a call may carry."""
    tls: Literal["auto", "always"] = "auto"
    """Mutual TLS between processes: where a connection leaves the host, or everywhere."""
    start_timeout: Duration = Duration(60)
    """How long a process may take to start its components; a whole version has twice as long."""
    stop_timeout: Duration = Duration(10)
    """How long each phase of an orderly stop may take."""
    hung_after: Duration = Duration(3)
    """How long a process may give no sign of life before it is ended and replaced."""
    threads: Count = 64
    """Most worker threads for plain (not async) methods in one process."""
    trace_sample: Percent = Percent(0)
    """Share of users' requests that are traced, of those that do not say it themselves."""
    spin: Literal["auto", "off"] = "auto"
    """Whether a process looks for answers that come within microseconds before it sleeps."""

    def __post_init__(self) -> None:
        if self.hung_after < LEAST_SILENCE:
            raise ValueError(f"`hung_after` must be at least {LEAST_SILENCE:g}s")
        if self.start_timeout <= 0:
            raise ValueError("`start_timeout` must be more than 0")


class PackageTable(Table, frozen=True):
    """`[package]`: what goes into the PEX."""

    project: str = "."
    """Folder of the project that is packaged, relative to weaver.toml."""
    include: tuple[str, ...] = ()
    """Patterns of further files to pack, relative to the project."""
    exclude: tuple[str, ...] = ()
    """Patterns of files to leave out."""
    python: str | None = None
    """Python versions that the PEX accepts, such as ">=3.11,<3.14"; default: the project's."""


class ReplicaRange(Table, frozen=True, kw_only=True):
    """`replicas = { min, max, target_load }`: scaled by load."""

    min: Count = 1
    """Fewest replicas."""
    max: Count
    """Most replicas."""
    target_load: Percent = Percent(0.7)
    """Share of a replica's capacity that scaling aims at."""

    def __post_init__(self) -> None:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is larger than max ({self.max})")


class GroupTable(Table, frozen=True):
    """`[groups.X]`: components that share a process."""

    components: tuple[str, ...]
    """Components of the group, by class name (full name where that is ambiguous)."""
    replicas: Count | ReplicaRange = 1
    """How many processes run the group: a number, or a range scaled by load."""
    hosts: tuple[str, ...] = ()
    """Where it may run, over SSH: "tag:big", hosts or groups of the hosts file; all by default."""
    prefer: Literal["any", "local"] = "any"
    """Which replica of another group its calls go to: any, or one on the same host if possible."""
    preload: bool = True
    """Import the application once and fork replicas from it; false: start each one afresh."""


class PlacementTable(Table, frozen=True):
    """`[placement]`: where components go that no group names."""

    default: Literal["split", "together", "auto"] = "split"
    """split: each its own group; together: all in one group; auto: from the call graph."""


class TlsTable(Table, frozen=True):
    """`[listeners.X] tls`: the certificate shown to users."""

    cert: str
    """File of the certificate chain (PEM), relative to weaver.toml."""
    key: str
    """File of the private key (PEM), relative to weaver.toml."""


class PinTable(Table, frozen=True):
    """`[listeners.X.pin]`: what decides the version of a request, during a rollout, not chance."""

    cookie: str = ""
    """Name of a signed cookie that keeps a client in the version it was given."""
    header: str = ""
    """Name of a header by which clients in trusted networks choose a deployment."""
    trusted: tuple[str, ...] = ()
    """Networks (CIDR) whose header is believed."""
    key: str = ""
    """Header, or as "cookie:NAME" a cookie, whose equal values meet one version."""

    def __post_init__(self) -> None:
        for name in (self.cookie, self.header, self.key.removeprefix("cookie:")):
            if name and _TOKEN.fullmatch(name) is None:
                raise ValueError(f'"{name}" cannot be the name of a cookie or header')
        for network in self.trusted:
            ipaddress.ip_network(network)
        if bool(self.header) != bool(self.trusted):
            raise ValueError("`header` and `trusted` need each other")


class ListenerTable(Table, frozen=True):
    """`[listeners.X]`: a named socket that serves users."""

    address: Address = Address("127.0.0.1:0")
    """Where it listens; port 0 lets the system choose."""
    ingress: Literal["shared", "proxy", "haproxy"] = "shared"
    """How users reach replicas: a shared socket, our proxy, or a HAProxy you run."""
    haproxy: str = "/run/haproxy/weaver.sock"
    """Runtime socket of that HAProxy; "PATH#NAME" if its backends are not called weaver."""
    workers: Count | None = None
    """Processes of our proxy on each host; default: one for each core, four at most."""
    tls: TlsTable | None = None
    """Serve HTTPS with this certificate; default: plain HTTP."""
    pin: PinTable = PinTable()
    """What keeps requests in one version during a rollout, apart from the weights."""


class SshTable(Table, frozen=True):
    """`[ssh]`: deploying to machines over SSH."""

    hosts: str | None = None
    """File with the hosts to deploy to, relative to weaver.toml; what `--ssh` says wins."""
    on_manager_lost: ManagerLost = ManagerLost("continue")
    """What replicas do while no manager is reachable: "continue" or "stop after 10m"."""
    host_grace: Duration = Duration(60)
    """How long a host may be out of reach before its replicas are started on other hosts."""
    user: str | None = None
    """User to log in as where neither the hosts file nor ~/.ssh/config names one."""
    connect_timeout: Duration = Duration(10)
    """How long each step of connecting to a host may take: TCP, its first word, its key."""


class AbortTable(Table, frozen=True):
    """`[rollout] abort_on`: when a new version is rolled back by itself."""

    error_rate: Percent = Percent(0.01)
    """Share of failed requests beyond that of the old version."""
    p99_factor: Annotated[float, msgspec.Meta(ge=1)] = 2.0
    """How many times slower than the old version the 99th percentile may be."""


class RolloutTable(Table, frozen=True):
    """`[rollout]`: how traffic moves from one version to the next."""

    steps: tuple[Percent, ...] = (Percent(0.05), Percent(0.25), Percent(0.5), Percent(1))
    """Traffic share of the new version, step by step; the last is "100%"."""
    pause: Duration = Duration(30)
    """How long each step is watched before the next."""
    abort_on: AbortTable = AbortTable()
    """When a new version is rolled back by itself."""
    keep_versions: Count = 3
    """How many past versions stay on disk for a rollback."""
    keep_warm: Duration = Duration(600)
    """How long the old version keeps running after the last step, for an instant rollback."""
    max_versions: Annotated[int, msgspec.Meta(ge=2)] = 2
    """How many versions may run at once; with 3, one stays warm while the next is rolled out."""
    before: str | None = None
    """Command run before the first step, such as a migration; its failure stops the rollout."""
    after: str | None = None
    """Command run after the last step."""

    def __post_init__(self) -> None:
        if not self.steps or self.steps[-1] < 1:
            raise ValueError('the last of `steps` must be "100%"')
        if any(step <= 0 for step in self.steps):
            raise ValueError("each of `steps` must be above 0%")
        if any(b <= a for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("each of `steps` must be larger than the one before")


class Tables(Table, frozen=True):
    """A whole weaver.toml; an empty one is valid."""

    app: AppTable = AppTable()
    """The application itself."""
    package: PackageTable = PackageTable()
    """What goes into the PEX."""
    groups: dict[str, GroupTable] = {}
    """Placement groups, by name."""
    placement: PlacementTable = PlacementTable()
    """Where components go that no group names."""
    listeners: dict[str, ListenerTable] = {}
    """Sockets that serve users, by name."""
    components: dict[str, dict[str, Any]] = {}
    """Config sections of components, by class name (full name where that is ambiguous)."""
    ssh: SshTable = SshTable()
    """Deploying to machines over SSH."""
    rollout: RolloutTable = RolloutTable()
    """How traffic moves from one version to the next."""
