"""Whether a host is who it says it is, by the known_hosts files as OpenSSH reads them.

Lines that cannot be read are skipped; files are never rewritten, one line is appended at most.
"""

import base64
import binascii
import contextlib
import fnmatch
import hashlib
import hmac
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from weaver.deployers.ssh.inventory import Host
from weaver.errors import WeaverError

_appending: Final = threading.Lock()


class Key(NamedTuple):
    """A public key: its type, such as ssh-ed25519, and its bytes in SSH's own form."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")

    def __str__(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


class Entry(NamedTuple):
    """One line that could be read; `where` is file:line."""

    patterns: str
    key: Key
    marker: Literal["", "@cert-authority", "@revoked"]
    where: str

    def is_for(self, name: str) -> bool:
        """Whether the line speaks of a host, by its name as `host_names` gives it."""
        if self.patterns.startswith("|1|"):
            return _is_hash_of(self.patterns, name)
        patterns = [pattern.lower() for pattern in self.patterns.split(",")]
        if any(p.startswith("!") and _matches(p[1:], name) for p in patterns):
            return False
        return any(_matches(pattern, name) for pattern in patterns)


def host_name(host: str, port: int) -> str:
    """What known_hosts calls a host at a port."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def parse(text: str, source: str) -> list[Entry]:
    """The lines of a known_hosts file that say something about a key."""
    entries: list[Entry] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker: Literal["", "@cert-authority", "@revoked"] = ""
        if words[:1] == ["@cert-authority"] or words[:1] == ["@revoked"]:
            marker = "@revoked" if words.pop(0) == "@revoked" else "@cert-authority"
        if len(words) < 3 or words[0].startswith(("#", "@")):
            continue
        with contextlib.suppress(ValueError, binascii.Error):
            key = Key(words[1], base64.b64decode(words[2], validate=True))
            entries.append(Entry(words[0], key, marker, f"{source}:{number}"))
    return entries


class KnownHosts:
    """What the files say about one host, under the name that they use for it."""

    def __init__(self, entries: Iterable[Entry], host: str, port: int) -> None:
        entries = tuple(entries)
        self.name = host_name(host, port)
        self._entries = [entry for entry in entries if entry.is_for(self.name)]
        bare = [] if port == 22 else [e for e in entries if e.is_for(host_name(host, 22))]
        # OpenSSH takes a key of the bare name too; one that differs there means nothing.
        self._also = [entry.key for entry in bare if not entry.marker]
        self._revoked = {e.key for e in (*self._entries, *bare) if e.marker == "@revoked"}

    @property
    def entries(self) -> list[Entry]:
        """The lines that give a key of the host itself."""
        return [entry for entry in self._entries if not entry.marker]

    @property
    def has_authority(self) -> bool:
        """Whether a certificate authority is trusted for the host."""
        return any(entry.marker == "@cert-authority" for entry in self._entries)

    @property
    def key_types(self) -> list[str]:
        """The types of the known keys: a host has several, and must show one of these."""
        return list(
            dict.fromkeys([e.key.type for e in self.entries] + [k.type for k in self._also])
        )

    def judge(self, key: Key) -> Literal["known", "unknown", "changed", "revoked"]:
        """What the files say about a key that the host has shown."""
        if key in self._revoked:
            return "revoked"
        if key in self._also or any(entry.key == key for entry in self.entries):
            return "known"
        return "changed" if self.entries else "unknown"


def read(files: Iterable[Path]) -> list[Entry]:
    """The lines of several files; those that do not exist say nothing. Raises WeaverError."""
    entries: list[Entry] = []
    for file in files:
        try:
            entries += parse(file.read_text(errors="replace"), str(file))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise WeaverError(
                "a file of known host keys cannot be read",
                where=str(file),
                why=error.strerror or str(error),
                fix="correct its permissions",
            ) from error
    return entries


def verify(
    host: Host,
    key: Key,
    known: KnownHosts,
    files: Sequence[Path],
    *,
    accept_new: bool,
    hashed: bool = False,
) -> bool:
    """Refuse a key that is not known; with `accept_new`, learn one of a host without any.

    `files` are the user's: the first is appended to, with a name that cannot be read where it is to
    be `hashed`. Says whether it was. Raises WeaverError.
    """
    verdict = known.judge(key)
    if verdict == "known":
        return False
    line = f"{_hash_of(known.name) if hashed else known.name} {key}"
    file = files[0] if files else Path("~/.ssh/known_hosts").expanduser()
    where = _where(host)
    if verdict == "unknown" and accept_new:
        append(file, line, known.name, key)
        return True
    if verdict == "unknown":
        raise WeaverError(
            f"the host key of {host.name} is not known: {key.type} {key.fingerprint}",
            where=where,
            why=_why_unknown(known, file),
            fix=f"compare the fingerprint with the host's own, then add this line to {file}, "
            f"or use --accept-new:\n    {line}",
        )
    if verdict == "revoked":
        raise WeaverError(
            f"the host key of {host.name} is revoked: {key.type} {key.fingerprint}",
            where=where,
            why="known_hosts marks it @revoked",
            fix="do not use this host until its keys have been replaced",
        )
    raise _changed(host, key, known)


def _changed(host: Host, key: Key, known: KnownHosts) -> WeaverError:
    return WeaverError(
        f"the host key of {host.name} has changed: it shows {key.type} {key.fingerprint}",
        where=_where(host),
        why="known are "
        + ", ".join(f"{e.key.type} {e.key.fingerprint} ({e.where})" for e in known.entries)
        + "; the host was installed anew, or someone stands between",
        fix="compare the fingerprint with the host's own; if it is right, remove the old line: "
        f'ssh-keygen -R "{known.name}" -f "{_file(known.entries[0])}"',
    )


def append(file: Path, line: str, name: str, key: Key) -> None:
    """Add a line to a file, unless it has been added meanwhile. Raises WeaverError."""
    try:
        with _appending:
            text = file.read_text(errors="replace") if file.exists() else ""
            verdict = KnownHosts(parse(text, str(file)), *_host_and_port(name)).judge(key)
            if verdict == "known":
                return
            if verdict != "unknown":
                raise WeaverError(
                    f"another host key of {name} was added meanwhile",
                    where=str(file),
                    fix="try again; if it is refused then, compare the fingerprints",
                )
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            separator = "" if not text or text.endswith("\n") else "\n"
            descriptor = os.open(file, flags, 0o600)
            try:
                os.write(descriptor, f"{separator}{line}\n".encode())
            finally:
                os.close(descriptor)
    except OSError as error:
        raise WeaverError(
            "a host key cannot be added to the known ones",
            where=str(file),
            why=error.strerror or str(error),
            fix=f"add the line yourself: {line}",
        ) from error


def _host_and_port(name: str) -> tuple[str, int]:
    if name.startswith("["):
        host, _, port = name[1:].rpartition("]:")
        return host, int(port)
    return name, 22


def _why_unknown(known: KnownHosts, file: Path) -> str:
    if known.has_authority:
        return (
            f"a @cert-authority is known for {known.name}, but host certificates are not supported"
        )
    return f"{file} has no key of {known.name}"


def _file(entry: Entry) -> str:
    return entry.where.rpartition(":")[0]


def _where(host: Host) -> str:
    return f"{host.name} ({host.where})" if host.where else host.name


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern with * and ? fits; brackets are those of `[host]:port`."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _hash_of(name: str) -> str:
    """As `ssh-keygen -H` writes it."""
    salt = os.urandom(20)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _is_hash_of(text: str, name: str) -> bool:
    _, _, salt, digest = [*text.split("|"), "", "", ""][:4]
    try:
        expected = base64.b64decode(digest, validate=True)
        actual = hmac.digest(base64.b64decode(salt, validate=True), name.encode(), "sha1")
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(actual, expected)
