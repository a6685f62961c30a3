"""The hosts of a hosts.txt: which there are, and what is said about each.

Decides what a line means. Reads no file, resolves no name: ~/.ssh/config is client_config's.
"""

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from weaver.errors import ConfigError, Problem, did_you_mean

MOST_OF_A_RANGE: Final = 1000
"""Hosts that one `[first:last]` may stand for: more is a slip of the keyboard."""

_TOKEN: Final = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[^\s"'])+)""")
_QUOTES: Final = re.compile(r"""["']([^"']*)["']""")
_GROUP: Final = re.compile(r"\[([^\[\]:]+)\]")
_GROUP_NAME: Final = re.compile(r"[A-Za-z_][\w.-]*")
_RANGE: Final = re.compile(r"\[(\d+):(\d+)\]")
_BRACKETED: Final = re.compile(r"\[([^\[\]]*:[^\[\]]*:[^\[\]]*)\](?::(.*))?")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_][\w.-]*")
_USER: Final = re.compile(r"[A-Za-z0-9_][^\s:/@]*")
_LABEL: Final = re.compile(r"[A-Za-z0-9_][\w./=-]*")


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host as it was listed; what is empty or None was not said, and ~/.ssh/config decides."""

    name: str
    """How messages and tables call it: the host, with its port if one was given."""
    host: str
    """What to connect to: a name of DNS or of ~/.ssh/config, or an address without brackets."""
    user: str = ""
    port: int | None = None
    groups: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    python: str = ""
    """The interpreter on the host; found there if empty."""
    slots: int | None = None
    """Replicas that it may run at most."""
    address: str = ""
    """What its peers dial; what we connect to if empty."""
    jump: str = ""
    """Hosts to go through, `[user@]host[:port]`, with commas between them."""
    directory: str = ""
    """Where weaver keeps its files on the host; ~/.weaver if empty."""
    where: str = ""
    """File and line."""
    default_user: str = ""
    """Who to log in as where neither the line nor ~/.ssh/config says it: of weaver.toml."""
    connect_timeout: float = 0.0
    """Seconds for each step of connecting; those of carriers and handshake if 0: of weaver.toml."""


def parse(text: str, source: str) -> tuple[Host, ...]:
    """The hosts in the text of a file; `source` is its name. Raises ConfigError: all faults."""
    reader = _Reader(source)
    for number, line in enumerate(text.splitlines(), 1):
        reader.read(line, f"{source}:{number}")
    return reader.end()


def parse_inline(text: str) -> tuple[Host, ...]:
    """The hosts of `--ssh a,b`: a list of `[user@]host[:port]`. Raises ConfigError."""
    reader = _Reader("--ssh")
    for entry in text.split(","):
        if entry.strip():
            reader.read(entry, "--ssh")
    return reader.end()


def limited(hosts: Iterable[Host], names: Iterable[str]) -> tuple[Host, ...]:
    """Those hosts that are named, by their own name or a group's. Raises ConfigError."""
    hosts = tuple(hosts)
    known = {host.name for host in hosts} | {group for host in hosts for group in host.groups}
    wanted = {name.strip() for name in names} - {""}
    problems = [
        Problem(
            f'there is no host or group "{name}"', where="--limit", fix=did_you_mean(name, known)
        )
        for name in sorted(wanted - known)
    ]
    if problems:
        raise ConfigError(problems)
    return tuple(host for host in hosts if wanted & {host.name, *host.groups})


class _Fault(Exception):
    """What is wrong with a line; `fix` says what to write instead."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class _Reader:
    """Collects hosts and faults, line by line."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._group = ""
        self._hosts: dict[str, Host] = {}
        self._problems: list[Problem] = []

    def read(self, line: str, where: str) -> None:
        try:
            self._read(_tokens(line), where)
        except _Fault as fault:
            self._problems.append(Problem(fault.what, where=where, fix=fault.fix))

    def end(self) -> tuple[Host, ...]:
        if not self._hosts and not self._problems:
            self._problems.append(
                Problem(
                    "there are no hosts",
                    where=self._source,
                    fix="write one per line: [user@]host[:port] [key=value ...]",
                )
            )
        if self._problems:
            raise ConfigError(self._problems)
        return tuple(self._hosts.values())

    def _read(self, tokens: list[str], where: str) -> None:
        if not tokens:
            return
        first, *rest = tokens
        if (group := _group(first)) is not None:
            if rest:
                raise _Fault(f"nothing may follow [{group}]", "write each host on its own line")
            self._group = group
            return
        if "=" in first:
            raise _Fault(
                f'a line begins with a host, not with "{first}"', "write: host key=value ..."
            )
        user, names, port = _destination(first)
        stated = _keys(rest)
        for name in names:
            self._add(name, user, port, stated, where)

    def _add(
        self, host: str, user: str, port: int | None, stated: Mapping[str, object], where: str
    ) -> None:
        name = host if port is None else f"{f'[{host}]' if ':' in host else host}:{port}"
        known = self._hosts.get(name)
        if known is None:
            groups = [self._group] if self._group else []
            parts = {"name": name, "host": host, "user": user, "port": port, "groups": groups}
            self._hosts[name] = msgspec.convert(parts | dict(stated) | {"where": where}, Host)
        elif self._group in {"", *known.groups}:
            raise _Fault(f"{name} is listed twice: see {known.where}", "remove one of the lines")
        elif stated or user not in {"", known.user}:
            raise _Fault(
                f"{name} is described twice: see {known.where}",
                "write its user and keys at its first line, and only its name in other groups",
            )
        else:
            joined = (*known.groups, self._group)
            self._hosts[name] = msgspec.structs.replace(known, groups=joined)


def _tokens(line: str) -> list[str]:
    """The words of a line up to a comment; quotes keep spaces together, and are removed."""
    tokens: list[str] = []
    line = line.rstrip()
    position = 0
    while position < len(line):
        if line[position:].lstrip().startswith("#"):
            break
        match = _TOKEN.match(line, position)
        if match is None or (match.end() < len(line) and line[match.end()] in "\"'"):
            raise _Fault("a quote is not closed", "close it, or remove it")
        tokens.append(_QUOTES.sub(r"\1", match[1]))
        position = match.end()
    return tokens


def _group(token: str) -> str | None:
    """The name in a `[group]` header; None for what is a host."""
    match = _GROUP.fullmatch(token)
    if match is not None and _GROUP_NAME.fullmatch(match[1]):
        return match[1]
    if match is not None:
        raise _Fault(
            f'"{match[1]}" cannot be the name of a group',
            "begin with a letter, then letters, digits, . _ -",
        )
    if re.fullmatch(r"\[[A-Za-z_][\w.-]*:(children|vars)\]", token):
        raise _Fault(
            f"{token} is not known here",
            "list the hosts under each of their groups, and write keys at the hosts",
        )
    return None


def _destination(text: str) -> tuple[str, list[str], int | None]:
    """User, hosts and port of `[user@]host[:port]`."""
    if text.count("[") != text.count("]"):
        raise _Fault(
            f'the brackets of "{text}" are not closed',
            "write [group], a name without spaces, on a line of its own; hosts as web[01:20], "
            "addresses as [::1]:22",
        )
    user, at, rest = text.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise _Fault(f'"{user}" cannot be a user in "{text}"', "write: user@host")
    bracketed = _BRACKETED.fullmatch(rest)
    if bracketed is not None:
        return user, [_address(bracketed[1])], _port(bracketed[2], text)
    if rest.count(":") > 1 and "[" not in rest:
        return user, [_address(rest)], None
    outside = _RANGE.sub(lambda match: "0" * len(match[0]), rest)
    length = outside.index(":") if ":" in outside else len(outside)
    names = _expanded(rest[:length])
    for name in names[:1]:
        if not _HOST_NAME.fullmatch(name):
            raise _Fault(
                f'"{name}" cannot be a host in "{text}"',
                "write a name or an address: web1.example.com, 10.0.0.5, [::1]:22, web[01:20]",
            )
    return user, names, _port(rest[length + 1 :] if length < len(rest) else None, text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise _Fault(
            f'"{text}" is no IPv6 address', "write [address]:port, as in [2001:db8::1]:22"
        ) from None


def _port(text: str | None, destination: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) < 65536:
        raise _Fault(f'"{text}" is no port in "{destination}"', "a port is from 1 to 65535")
    return int(text)


def _expanded(name: str) -> list[str]:
    """The names that `web[01:20]` stands for; digits keep their width."""
    match = _RANGE.search(name)
    if match is None:
        return [name]
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise _Fault(f"{match[0]} ends before it begins", f"write [{match[2]}:{match[1]}]")
    if last - first >= MOST_OF_A_RANGE:
        raise _Fault(f"{match[0]} stands for {last - first + 1} hosts", "write a smaller range")
    before, after = name[: match.start()], _expanded(name[match.end() :])
    width = len(match[1])
    return [f"{before}{n:0{width}}{rest}" for n in range(first, last + 1) for rest in after]


def _labels(text: str) -> tuple[str, ...]:
    labels = tuple(dict.fromkeys(label.strip() for label in text.split(",")))
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise _Fault(f'"{label}" cannot be a label', "write labels=big,ssd without spaces")
    return labels


def _slots(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) < 10_000:
        raise _Fault(f'slots="{text}" is no number of replicas', "write slots=8")
    return int(text)


def _peer_address(text: str) -> str:
    """What peers dial: a host or an address, without a port."""
    text = text.removeprefix("[").removesuffix("]")
    if ":" in text:
        text = _address(text)
    elif not _HOST_NAME.fullmatch(text):
        raise _Fault(
            f'"{text}" cannot be an address that peers dial',
            "write a name or an address without a port",
        )
    if text in {"0.0.0.0", "::"}:  # noqa: S104
        raise _Fault(
            f"peers cannot dial {text}, which stands for every address",
            "write the one address by which other hosts reach this one",
        )
    return text


def _jump(text: str) -> str:
    if text != "none":
        for hop in text.split(","):
            _destination(hop)
    return text


def _path(text: str) -> str:
    if not text.startswith(("/", "~/")):
        raise _Fault(f'"{text}" is not an absolute path', "begin it with / or ~/")
    return text


@dataclasses.dataclass(frozen=True)
class _Key:
    field: str
    read: Callable[[str], object]


def _python(text: str) -> str:
    return text if "/" not in text else _path(text)


_KEYS: Final[Mapping[str, _Key]] = {
    "labels": _Key("labels", _labels),
    "python": _Key("python", _python),
    "slots": _Key("slots", _slots),
    "address": _Key("address", _peer_address),
    "jump": _Key("jump", _jump),
    "dir": _Key("directory", _path),
}


def _keys(tokens: list[str]) -> dict[str, object]:
    """The `key=value` of a line, by the fields of Host."""
    stated: dict[str, object] = {}
    for token in tokens:
        name, equals, value = token.partition("=")
        if not equals:
            raise _Fault(f'"{token}" is no key=value', "write each host on its own line")
        key = _KEYS.get(name)
        if key is None:
            raise _Fault(f'there is no key "{name}" of a host', did_you_mean(name, _KEYS))
        if key.field in stated:
            raise _Fault(f'"{name}" is given twice', "remove one")
        if not value:
            raise _Fault(f'"{name}" has no value', f"write {name}=..., or remove it")
        stated[key.field] = key.read(value)
    return stated
