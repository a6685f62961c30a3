"""What weaver.toml refers to outside of itself: commands of hooks, and files of certificates.

Decides what `weaver check` says of them. Nothing is run.
"""

import shlex
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

from weaver.config.configuration import Config
from weaver.errors import Problem


def hook_notes(config: Config) -> list[Problem]:
    """Commands of hooks that are not found here: they may be where the application runs."""
    notes: list[Problem] = []
    for name, text in _hooks_of(config):
        try:
            words = shlex.split(text)
        except ValueError:
            continue
        # The Python of the release comes first on PATH there, with what the PEX holds.
        if words and words[0] not in {"python", "python3"} and shutil.which(words[0]) is None:
            notes.append(
                Problem(
                    f"[rollout] {name}: there is no command {words[0]} on this machine",
                    where=config.provenance(f"rollout.{name}"),
                    why="it runs where the new version does",
                )
            )
    return notes


def _hooks_of(config: Config) -> Iterator[tuple[str, str]]:
    for name in ("before", "after"):
        text: str | None = getattr(config.rollout, name)
        if text is not None:
            yield name, text


def hook_problems(config: Config) -> Iterator[Problem]:
    """What of `[rollout] before` and `after` cannot be run as it is written."""
    for name, text in _hooks_of(config):
        where = config.provenance(f"rollout.{name}")
        try:
            words = shlex.split(text)
        except ValueError as error:
            yield Problem(
                f"[rollout] {name} is no command",
                where=where,
                why=f"{str(error).lower()}: {text}",
                fix="quote its arguments as in a shell",
            )
            continue
        if not words:
            yield Problem(
                f"[rollout] {name} is empty", where=where, fix="remove it, or write a command"
            )
        elif any(word in {"&&", "||", "|", ";", ">", "<", "&"} for word in words):
            yield Problem(
                f"[rollout] {name} is not run by a shell",
                where=where,
                why=f"it would get {shlex.join(words[1:])} as arguments",
                fix=f"write: {name} = {_in_a_shell(text)}",
            )


def _in_a_shell(text: str) -> str:
    quoted = shlex.join(["sh", "-c", text]).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def certificate_problems(config: Config, folder: Path) -> Iterator[Problem]:
    """Certificates that listeners could not serve; `folder` is that of weaver.toml."""
    if config.ssh.hosts is not None:
        return  # they are files of the hosts
    for name, table in config.listeners.items():
        if table.tls is None:
            continue
        missing = False
        for key, file in (("cert", table.tls.cert), ("key", table.tls.key)):
            if not (folder / file).is_file():
                missing = True
                yield Problem(
                    f"[listeners.{name}] tls: there is no file {file}",
                    where=config.provenance(("listeners", name, "tls", key)),
                    why=f"it would be {folder / file}",
                    fix="name a PEM file; paths are relative to weaver.toml",
                )
        if not missing:
            yield from _unfit(config, name, folder / table.tls.cert, folder / table.tls.key)


def _unfit(config: Config, name: str, cert: Path, key: Path) -> Iterator[Problem]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password=lambda: "")  # never ask a person
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        yield Problem(
            f"[listeners.{name}] tls: {cert.name} and {key.name} cannot be used",
            where=config.provenance(("listeners", name, "tls", "cert")),
            why=str(reason).lower().replace("_", " "),
            fix="the chain's first certificate must be that of the key, both in PEM, the key "
            "without a passphrase",
        )
