"""What the probe has found on a host: its text read into a record.

Decides what each line of `probe.sh` means, and how far the host's clock is off. Judges nothing.
"""

import re
from typing import Final

import msgspec

from weaver.errors import WeaverError
from weaver.packaging.suits import machine_of
from weaver.packaging.tags import Interpreter

FIRST: Final = "weaver-probe 1"
LAST: Final = "end"

_DF: Final = re.compile(r"\s(\d+)\s+(\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+(/.*)$")


class Skew(msgspec.Struct, frozen=True):
    """How far a clock is ahead of ours, in seconds: it is between the two."""

    least: float
    most: float

    @property
    def likely(self) -> float:
        """The middle of what is possible."""
        return (self.least + self.most) / 2


class Bind(msgspec.Struct, frozen=True):
    """Whether a listener's address can be bound; `fault` is "" if so.

    `holder` is the command of this user's process that listens there, empty for somebody else's.
    """

    name: str
    host: str
    port: int
    fault: str = ""
    errno: int = 0
    holder: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One host. What could not be found out is empty, or None."""

    values: dict[str, str]
    interpreters: tuple[Interpreter, ...] = ()
    kept: tuple[str, ...] = ()
    """Releases in the directory."""
    apps: tuple[str, ...] = ()
    """Applications that have been deployed there."""
    skew: Skew | None = None
    free_bytes: int | None = None
    free_inodes: int | None = None
    binds: tuple[Bind, ...] = ()
    running: tuple[str, ...] = ()
    """Processes of weaver, as "envelope 1234"."""
    logind: dict[str, str] = {}
    met: dict[str, str] | None = None
    """Why each peer could not be reached, "" if it could; None where that was not found out."""

    def __getitem__(self, key: str) -> str:
        return self.values.get(key, "")


class Moment(msgspec.Struct, frozen=True):
    """Our own clock before the probe was sent and after its answer had come, in seconds."""

    sent: float
    answered: float


def read_facts(text: str, moment: Moment) -> Facts:
    """The facts in what a host printed; lines before the probe's own are noise of its login.

    Raises WeaverError if the probe did not run, or not to its end.
    """
    _noise, found, body = f"\n{text}".rpartition(f"\n{FIRST}\n")
    lines = body.splitlines()
    if not found or LAST not in lines:
        raise _unfinished(lines, begun=bool(found))
    values: dict[str, str] = {}
    several: dict[str, list[str]] = {"python": [], "kept": [], "app": [], "clock": [], "logind": []}
    for line in lines:
        key, _, value = line.replace("\t", " ", 1).partition(" ")
        if key in several:
            several[key].append(value)
        else:
            values.setdefault(key, value.strip())
    binds, running = _answer(values.get("answer", ""))
    return Facts(
        values=values,
        interpreters=_interpreters(several["python"], values),
        kept=tuple(several["kept"]),
        apps=tuple(several["app"]),
        skew=_skew(several["clock"], moment),
        free_bytes=_free(values.get("blocks", ""), 1024),
        free_inodes=_free(values.get("inodes", ""), 1),
        binds=binds,
        running=running,
        logind=dict(_pair(line) for line in several["logind"]),
        met=_met(values.get("met", "")),
    )


def _unfinished(lines: list[str], *, begun: bool) -> WeaverError:
    said = "\n".join(line for line in lines[-3:] if line.strip())
    if begun:
        return WeaverError("the examination of the host broke off", why=said, fix="try again")
    return WeaverError(
        "the host does not run commands with sh",
        why=f"it answered: {said}" if said else "it answered nothing",
        fix="its login must allow commands: no forced command, no `exit` in .bashrc, a POSIX sh",
    )


def _interpreters(rows: list[str], values: dict[str, str]) -> tuple[Interpreter, ...]:
    found: dict[str, Interpreter] = {}
    for row in rows:
        fields = row.split("\t")
        if len(fields) != 8 or fields[7] in found:
            continue
        version, implementation, bits, machine, threaded, libc, lacks, path = fields
        musl = values.get("libc", "") if values.get("libc", "").startswith("musl") else "musl"
        if values.get("system") == "Darwin":
            libc = values.get("libc", "")
        elif libc == "musl" or (not libc and musl != "musl"):
            libc = musl
        found[path] = Interpreter(
            version=version,
            system=values.get("system", "").lower(),
            machine=machine_of(machine.lower(), int(bits) if bits.isdigit() else 64),
            libc=libc,
            implementation=implementation,
            free_threaded=bool(threaded),
            path=path,
            lacks=tuple(name for name in lacks.split(",") if name),
        )
    return tuple(found.values())


def _skew(clocks: list[str], moment: Moment) -> Skew | None:
    """Between sending and answer the host read its clock twice, which bounds it on both sides."""
    if len(clocks) != 2:
        return None
    begin, end = (_clock(text) for text in clocks)
    if begin is None or end is None:
        return None
    return Skew(least=end[0] - moment.answered, most=begin[1] - moment.sent)


def _clock(text: str) -> tuple[float, float] | None:
    """When it was, at the earliest and at the latest: not every `date` tells fractions."""
    seconds, _, fraction = text.strip().partition(".")
    if not seconds.isdigit():
        return None
    if fraction.isdigit():
        return float(f"{seconds}.{fraction}"), float(f"{seconds}.{fraction}")
    return float(seconds), float(seconds) + 1


def _free(line: str, unit: int) -> int | None:
    """The fourth column of `df -P`; the name in the first may hold blanks. None where unlimited."""
    found = _DF.search(line)
    if found is None or int(found[1]) == 0:
        return None
    return max(int(found[3]), 0) * unit


class _Process(msgspec.Struct):
    pid: int
    role: str = ""
    command: tuple[str, ...] = ()


class _Tried(msgspec.Struct):
    name: str
    host: str
    port: int
    fault: str = ""
    errno: int = 0
    holder: _Process | None = None


class _Answer(msgspec.Struct):
    """What `host_facts.py` prints."""

    listeners: tuple[_Tried, ...]
    weaver: tuple[_Process, ...]


def _answer(text: str) -> tuple[tuple[Bind, ...], tuple[str, ...]]:
    try:
        found = msgspec.json.decode(text, type=_Answer)
    except msgspec.DecodeError:
        return (), ()
    binds = (
        Bind(t.name, t.host, t.port, t.fault, t.errno, t.holder.command if t.holder else ())
        for t in found.listeners
    )
    return tuple(binds), tuple(f"{process.role} {process.pid}" for process in found.weaver)


def _met(text: str) -> dict[str, str] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        return None


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key, value
