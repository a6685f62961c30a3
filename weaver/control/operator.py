"""What the command line asks the manager of a deployment, and the answers.

A request is one message; its answer is any number of messages and then `Done` or `Refused`. Tagged
maps as in `weaver.control.messages`. It must not know how requests are carried out.
"""

import msgspec

from weaver.control.messages import Fault, LogRecord, Message, MethodStatistics, Profiled, Spans
from weaver.control.rollout import GetRollout, RolloutReport, Steer


class LogFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which log records are wanted; empty fields admit everything.

    `component` is a short or full name; `level` the least severe one; `text` must be contained;
    `since` in seconds since the epoch; `tail` is how many of the latest, -1 for all that are kept;
    the hexadecimal id of the record's trace begins with `trace`.
    """

    component: str = ""
    replica: str = ""
    level: str = ""
    text: str = ""
    since: float = 0.0
    tail: int = -1
    trace: str = ""


class ReplicaReport(msgspec.Struct, frozen=True):
    """One replica in `weaver status`; `started` in seconds since the epoch."""

    id: str
    pid: int
    host: str
    state: str
    restarts: int = 0
    started: float = 0.0


class GroupReport(msgspec.Struct, frozen=True):
    """One placement group in `weaver status`."""

    name: str
    components: tuple[str, ...]
    wanted: int
    replicas: tuple[ReplicaReport, ...] = ()


class ListenerReport(msgspec.Struct, frozen=True):
    """One listener in `weaver status`; `scheme` is "https" where TLS protects it."""

    name: str
    address: str
    scheme: str = "http"

    @property
    def url(self) -> str:
        """What a browser is given."""
        return f"{self.scheme}://{self.address}"


class DeploymentReport(msgspec.Struct, frozen=True):
    """One deployment in `weaver status`, but for its methods.

    `state` is "starting", "live", "failed", "stopping" or "stopped"; `traffic` the share of users'
    requests, from 0 to 1; `hosts` says of each whether its envelope is "attached", or else what it
    does; `fault` is why it failed.
    """

    app: str
    version: str
    deployment: str
    state: str
    traffic: float = 1.0
    started: float = 0.0
    groups: tuple[GroupReport, ...] = ()
    listeners: tuple[ListenerReport, ...] = ()
    hosts: dict[str, str] = {}
    fault: Fault | None = None


class HistoryEvent(msgspec.Struct, frozen=True):
    """Something that happened to a deployment, worth telling a person."""

    time: float
    kind: str
    text: str
    replica: str = ""


# --- requests ---


class GetStatus(Message, frozen=True):
    """One `Status`. With `follow`, another one after every change."""

    follow: bool = False


class GetLogs(Message, frozen=True):
    """`Records` that match; with `follow`, also those to come."""

    filter: LogFilter = LogFilter()
    follow: bool = False


class GetEvents(Message, frozen=True):
    """`History`; with `follow`, also what is to come."""

    follow: bool = False


class GetSpans(Message, frozen=True):
    """`Spans` of the traces whose hexadecimal ids begin with `trace`, those that are kept."""

    trace: str = ""


class GetProfile(Message, frozen=True):
    """Look for so many seconds at what a replica does; answered by `Profiled`."""

    replica: str
    seconds: float


class Scale(Message, frozen=True):
    """Run this many replicas of a group."""

    group: str
    replicas: int


class StopDeployment(Message, frozen=True):
    """Stop every replica in order; answered when all have ended."""

    at_once: bool = False


class Retire(Message, frozen=True):
    """Leave every version to another manager, which is about to take over; all serve on."""


class Execute(Message, frozen=True):
    """Run a command beside a replica of this group, for at most so many seconds.

    `replica` chooses the host of one of them. Answered by `Executed`.
    """

    group: str
    words: tuple[str, ...]
    seconds: float
    replica: str = ""


# --- answers ---


class Status(Message, frozen=True):
    """The deployment now; `methods` are summed over its replicas."""

    report: DeploymentReport
    methods: tuple[MethodStatistics, ...] = ()


class Records(Message, frozen=True):
    """Log records, oldest first."""

    records: tuple[LogRecord, ...]


class History(Message, frozen=True):
    """Events, oldest first."""

    events: tuple[HistoryEvent, ...]


class Executed(Message, frozen=True):
    """How a command has ended, and on which host; `exit_code` is negative for a signal."""

    host: str
    exit_code: int
    stdout: bytes
    stderr: bytes


class Done(Message, frozen=True):
    """The request has been carried out; nothing follows."""


class Refused(Message, frozen=True):
    """The request cannot be carried out; nothing follows. `usage`: whoever asked is to blame."""

    fault: Fault
    usage: bool = False


Request = (
    GetStatus
    | GetLogs
    | GetEvents
    | GetSpans
    | GetProfile
    | Scale
    | StopDeployment
    | Retire
    | Execute
    | GetRollout
    | Steer
)
Answer = Status | Records | History | Spans | Executed | Profiled | RolloutReport | Done | Refused


def admits(wanted: LogFilter, record: LogRecord) -> bool:
    """Whether a record passes a filter, `tail` apart."""
    names = {record.component, record.component.rpartition(".")[2]}
    return (
        (not wanted.component or wanted.component in names)
        and (not wanted.replica or wanted.replica in {record.replica, record.group})
        and _severity(record.level) >= _severity(wanted.level)
        and wanted.text.lower() in record.message.lower()
        and record.time >= wanted.since
        and record.trace.startswith(wanted.trace.lower())
    )


_LEVELS = ("", "debug", "info", "warning", "error", "critical")


def _severity(level: str) -> int:
    name = level.lower()
    return _LEVELS.index(name) if name in _LEVELS else _LEVELS.index("info")
