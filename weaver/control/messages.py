"""The control protocol: every message between manager, envelope and proclet.

Tagged maps: fields are told apart by name, unknown ones are ignored and missing ones have their
default, so that processes of different weaver versions understand each other. This file decides
the vocabulary (section 4.3 of "Towards Modern Development of Cloud Applications" names the first
verbs); it must not know who acts on it.
"""

import msgspec

from weaver.control.certificates import Certificates
from weaver.control.message import Fault as Fault
from weaver.control.message import Message as Message
from weaver.control.restarts import Heartbeats, Restarts
from weaver.control.succession import Keep, Memo, Recall
from weaver.control.takeover import TakeOver
from weaver.control.traffic import IngressReport, Traffic
from weaver.routing import Routing


class LogRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an application's or the runtime's log. `time` in seconds since the epoch.

    `stream` is "log", "stdout" or "stderr"; `trace` is the hexadecimal trace id or "".
    """

    time: float
    level: str
    message: str
    logger: str = ""
    component: str = ""
    group: str = ""
    replica: str = ""
    version: str = ""
    trace: str = ""
    stream: str = "log"


class MethodStatistics(msgspec.Struct, frozen=True):
    """Calls of one method by one caller, since the replica started.

    `histogram[i]` counts sampled calls that took less than 2**i microseconds and not less than
    half of that; `remote` counts the calls that left the process. `rate` are the calls per second
    of the last moments, which the manager knows.
    """

    caller: str
    component: str
    method: str
    calls: int = 0
    errors: int = 0
    remote: int = 0
    sent_bytes: int = 0
    histogram: tuple[int, ...] = ()
    rate: float = 0.0


# --- what an application is, as an envelope must know it ---


class Application(msgspec.Struct, frozen=True):
    """What an envelope runs. `environment` may hold secrets: it travels on sockets only.

    `target` is "package.module:Name"; `config` is the text of weaver.toml and `source` its path,
    for messages; `project` is the folder of weaver.toml, and importable.

    For tests: `tables` is the configuration as JSON in place of `config`, `roots` names all
    components that nobody refers to, `fakes` (full names) are those another process stands for, and
    `path` is where modules are looked for as well.
    """

    app: str
    version: str
    deployment: str
    target: str
    config: str = ""
    source: str = "weaver.toml"
    project: str = ""
    environment: dict[str, str] = {}
    strict_copies: bool = False
    certificates: Certificates | None = None
    tables: str = ""
    roots: tuple[str, ...] = ()
    fakes: tuple[str, ...] = ()
    path: tuple[str, ...] = ()


class GroupOrder(msgspec.Struct, frozen=True):
    """One placement group; `listeners` maps names to addresses, `prefer` is for its own calls."""

    components: tuple[str, ...]
    entry: str = ""
    preload: bool = True
    listeners: dict[str, str] = {}
    prefer: str = "any"


# --- manager to envelope ---


class Attach(Message, frozen=True):
    """The first message of a manager. `seen` is the last event it has: later ones are replayed."""

    deployment: str
    epoch: int
    seen: int = 0


class Orders(Message, frozen=True):
    """What shall run on the envelope's host from now on, also while no manager is connected.

    `replicas` maps ids to groups; others are drained and stopped. `on_manager_lost` is "end",
    "continue", or "stop" after so many seconds. At `advertise`, replicas listen for other hosts.
    `identities` are what an ingress shows to replicas of other versions, by their deployments.
    """

    number: int
    groups: dict[str, GroupOrder] = {}
    replicas: dict[str, str] = {}
    restarts: Restarts = Restarts()
    heartbeats: Heartbeats = Heartbeats()
    stop_timeout: float = 10.0
    application: Application | None = None
    on_manager_lost: str = "end"
    stop_after: float = 0.0
    advertise: str = ""
    traffic: Traffic = Traffic()
    identities: dict[str, Certificates] = {}


class Relay(Message, frozen=True):
    """An encoded message for these replicas; for all where none is named."""

    message: bytes
    replicas: tuple[str, ...] = ()


class Restart(Message, frozen=True):
    """Replace this incarnation of a replica: it is drained, stopped and started again."""

    replica: str
    incarnation: int


class End(Message, frozen=True):
    """Stop every replica in order and end. `at_once` leaves out draining."""

    at_once: bool = False


# --- envelope to manager ---


class ReplicaState(msgspec.Struct, frozen=True):
    """A replica as its envelope sees it."""

    replica: str
    group: str
    incarnation: int
    pid: int
    state: str = "starting"
    restarts: int = 0
    started: float = 0.0
    registered: "RegisterReplica | None" = None


class Attached(Message, frozen=True):
    """The answer to `Attach`: what runs now, and the number of the newest event."""

    host: str
    pid: int
    epoch: int
    newest: int = 0
    orders: int = 0
    replicas: tuple[ReplicaState, ...] = ()
    listeners: dict[str, str] = {}


class Fenced(Message, frozen=True):
    """The refusal of a manager whose epoch is older, or of another deployment."""

    epoch: int
    deployment: str
    reason: str = ""


class ReplicaStarted(Message, frozen=True):
    """A process has been started for a replica. `forked` tells how."""

    replica: str
    incarnation: int
    pid: int
    time: float
    forked: bool = False


class ReplicaExited(Message, frozen=True):
    """A replica's process has ended. `delay` is the wait until its restart, None for none.

    `signal` is 0 for an exit by `code`. `lines` are its last lines of output.
    """

    replica: str
    incarnation: int
    code: int = 0
    signal: int = 0
    reason: str = ""
    lines: tuple[str, ...] = ()
    expected: bool = False
    crash_loop: bool = False
    delay: float | None = None


class FromReplica(Message, frozen=True):
    """What a proclet sent for the manager, encoded."""

    replica: str
    incarnation: int
    message: bytes


class ListenerHeld(Message, frozen=True):
    """The envelope holds the listening socket of this name."""

    name: str
    address: str


class EnvelopeFailed(Message, frozen=True):
    """The envelope cannot carry out its orders: a port in use, a module that does not import."""

    fault: Fault


class Logs(Message, frozen=True):
    """Log records, oldest first. `lost` were dropped because a buffer was full."""

    records: tuple[LogRecord, ...]
    lost: int = 0


class Event(Message, frozen=True):
    """An encoded message of the envelope with its number, to be replayed after a reconnection.

    Numbers grow by one; 0 marks what is not kept (heartbeats, statistics).
    """

    number: int
    message: bytes


# --- manager, through the envelope, to proclet ---


class Hosting(Message, frozen=True):
    """The envelope's first message to a proclet: who it is, and where its sockets are.

    `listeners` maps names to inherited file descriptors; `directory` is for its own Unix sockets.
    `handover` maps names to receiver and sender of the pair that moves connections. `private`: it
    also serves every listener on a socket of its own for an ingress of its host, and where it is to
    `advertise` an address, over mutual TLS, on one for those of other hosts.
    """

    application: Application
    replica: str
    incarnation: int
    group: str
    host: str
    directory: str
    order: GroupOrder
    listeners: dict[str, int] = {}
    heartbeat: float = 1.0
    advertise: str = ""
    accepting: bool = True
    handover: dict[str, tuple[int, int]] = {}
    private: bool = False


class NewRouting(Message, frozen=True):
    """The routing of the deployment; older versions are ignored."""

    routing: Routing


class Probe(Message, frozen=True):
    """The health gate: answer with the nonce, deployment and build id."""

    nonce: str


class Accept(Message, frozen=True):
    """Whether to take connections from the listeners' sockets; those there are stay or move."""

    accepting: bool


class Stop(Message, frozen=True):
    """Drain, stop components in reverse order, and exit. `grace` in seconds.

    To drain: take no new calls or connections, and finish those in flight. The manager has sent
    others a routing without the replica before.

    `others`: other processes accept on its listeners, and go on with its idle connections.
    """

    grace: float = 10.0
    others: bool = False


class Profile(Message, frozen=True):
    """Sample the stacks of all threads for this many seconds."""

    seconds: float = 1.0


# --- proclet to envelope and manager ---


class RegisterReplica(Message, frozen=True):
    """All components have started. Calls are taken at `address`, from other hosts at `remote`.

    `serving` maps listeners to the addresses at which an ingress of the same host reaches it,
    `beyond` to those for an ingress of other hosts.
    """

    address: str
    components: tuple[str, ...] = ()
    build: str = ""
    deployment: str = ""
    remote: str = ""
    serving: dict[str, str] = {}
    beyond: dict[str, str] = {}


class StartComponent(Message, frozen=True):
    """A reference needs a component that no group serves yet."""

    component: str


class Probed(Message, frozen=True):
    """The answer to `Probe`."""

    nonce: str
    deployment: str
    build: str


class Heartbeat(Message, frozen=True):
    """The proclet's loop turns. `lag` is how late it turned, in seconds."""

    lag: float = 0.0
    in_flight: int = 0
    serving: tuple[str, ...] = ()


class Statistics(Message, frozen=True):
    """What the replica has measured since it started. `cpu` in seconds, `memory` in bytes."""

    methods: tuple[MethodStatistics, ...] = ()
    cpu: float = 0.0
    memory: int = 0
    in_flight: int = 0


class Spans(Message, frozen=True):
    """Finished spans of sampled traces, as JSON objects."""

    spans: tuple[bytes, ...] = ()


class Profiled(Message, frozen=True):
    """The answer to `Profile`: collapsed stacks and how often each was seen."""

    stacks: dict[str, int] = {}


class Failed(Message, frozen=True):
    """The replica cannot start or go on; it exits after this."""

    fault: Fault


class Ended(Message, frozen=True):
    """The entry's `main` has returned: the application ends."""


ToEnvelope = Attach | Orders | Relay | Restart | End | Heartbeat | Keep | Recall | TakeOver
FromEnvelope = (
    Attached | Fenced | ReplicaStarted | ReplicaExited | FromReplica | ListenerHeld
    | EnvelopeFailed | Logs | Event | Heartbeat | Memo | IngressReport
)  # fmt: skip
ToProclet = Hosting | NewRouting | Probe | Accept | Stop | Profile
FromProclet = (
    RegisterReplica | StartComponent | Probed | Heartbeat | Statistics | Spans | Profiled | Failed
    | Ended | Logs
)  # fmt: skip
