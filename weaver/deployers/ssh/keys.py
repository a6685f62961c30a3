"""The keys to offer to a host, in the order of OpenSSH: those of the agent, then of files.

Private keys and passphrases stay in this process: the agent is asked to sign, never forwarded.
"""

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import paramiko

from weaver.deployers.ssh.client_config import ClientConfig
from weaver.errors import WeaverError

AGENT_PATIENCE: Final = 60.0
"""Seconds that an agent may take: it may ask its user."""

AskPassphrase = Callable[[Path], str | None]
"""Asks for the passphrase of a key's file; None when the user does not give one."""


class KeyRing:
    """The keys of one user, each read once; for use by several threads."""

    def __init__(self, ask: AskPassphrase | None = None) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._loaded: dict[Path, paramiko.PKey | WeaverError | None] = {}

    def candidates(
        self, config: ClientConfig, agent: paramiko.agent.AgentSSH | None, locked: list[Path]
    ) -> Iterator[tuple[str, paramiko.PKey]]:
        """Names and keys to try one after the other; raises WeaverError for a key that is broken.

        Files that need a passphrase which nobody can be asked for are added to `locked`.
        """
        files = {file: _public_part(file) for file in config.identity_files if file.is_file()}
        wanted = set(files.values()) - {None}
        held = list(agent.get_keys()) if agent is not None else []
        held.sort(key=lambda key: key.asbytes() not in wanted)  # stable: the named ones first
        for key in held:
            if key.asbytes() in wanted or not config.identities_only:
                yield f"{key.comment or key.get_name()} (agent)", key
        in_agent = {key.asbytes() for key in held}
        for file, public in files.items():
            if public is not None and public in in_agent:
                continue
            key_of_file = self._load(file)
            if key_of_file is None:
                locked.append(file)
            else:
                yield str(file), key_of_file

    def _load(self, file: Path) -> paramiko.PKey | None:
        """The key in a file, None if it is locked. One thread at a time: users are asked once."""
        with self._lock:
            if file not in self._loaded:
                try:
                    self._loaded[file] = self._read(file)
                except WeaverError as error:
                    self._loaded[file] = error
            found = self._loaded[file]
        if isinstance(found, WeaverError):
            raise found
        return found

    def _read(self, file: Path) -> paramiko.PKey | None:
        with contextlib.suppress(paramiko.PasswordRequiredException, TypeError):
            return _from_file(file, None)
        passphrase = self._ask(file) if self._ask is not None else None
        if passphrase is None:
            return None
        try:
            return _from_file(file, passphrase)
        except WeaverError as error:
            raise WeaverError(
                f"the passphrase of {file} is wrong",
                where=str(file),
                fix=f"try again, or put the key into the agent: ssh-add {file}",
            ) from error


def _from_file(file: Path, passphrase: str | None) -> paramiko.PKey:
    """Raises TypeError or PasswordRequiredException where a passphrase is needed."""
    try:
        return paramiko.PKey.from_path(file, passphrase)
    except paramiko.PasswordRequiredException:
        raise
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise WeaverError(
            "a private key cannot be used",
            where=str(file),
            why=getattr(error, "strerror", None) or str(error) or type(error).__name__,
            fix="correct the file or its permissions, or remove it from ~/.ssh/config",
        ) from error
    except paramiko.pkey.UnknownKeyType as error:
        raise WeaverError(
            "a private key is of a kind that is not supported",
            where=str(file),
            why=f"{error}; keys of security tokens work through the agent only",
            fix="use an ed25519 key, or put this one into the agent",
        ) from error


def _public_part(file: Path) -> bytes | None:
    """The bytes of the public key beside a private one, None where there is none."""
    try:
        return base64.b64decode(Path(f"{file}.pub").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None


@contextlib.contextmanager
def agent_at(path: str) -> Iterator[paramiko.agent.AgentSSH | None]:
    """The agent that listens at a socket, None if none does."""
    if not path:
        yield None
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(AGENT_PATIENCE)
        try:
            connection.connect(path)
            agent = paramiko.agent.AgentSSH()
            # The public class knows the agent of the environment only.
            agent._connect(connection)  # type: ignore[attr-defined]  # noqa: SLF001
        except (OSError, paramiko.SSHException):
            yield None
        else:
            yield agent
