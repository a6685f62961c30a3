"""The keys to offer to a host, in the order of OpenSSH: those of the agent, then of files.

Private keys and passphrases stay in this process: the agent is asked to sign, never forwarded.
"""

import base64
import contextlib
import io
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.agent import AgentSSH

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
        self._loaded: dict[Path, paramiko.PKey | WeaverError] = {}

    def candidates(
        self,
        config: ClientConfig,
        agent: AgentSSH | None,
        unusable: list[WeaverError],
    ) -> Iterator[tuple[str, paramiko.PKey]]:
        """Names and keys to try one after the other; why a file is of no use is added to a list."""
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
            found = self._load(file)
            if isinstance(found, WeaverError):
                unusable.append(found)
            else:
                yield str(file), found

    def _load(self, file: Path) -> paramiko.PKey | WeaverError:
        """The key in a file, or why there is none. One thread at a time: users are asked once."""
        with self._lock:
            if file not in self._loaded:
                try:
                    self._loaded[file] = self._read(file)
                except WeaverError as error:
                    self._loaded[file] = error
            return self._loaded[file]

    def _read(self, file: Path) -> paramiko.PKey:
        try:
            return _from_file(file, None)
        except TypeError:  # cryptography's word for a passphrase that is missing
            passphrase = self._ask(file) if self._ask is not None else None
        if not passphrase:
            raise WeaverError(
                f"{file} has a passphrase, and nobody gave it",
                where=str(file),
                fix=f"put it into the agent first: ssh-add {file}",
            )
        try:
            return _from_file(file, passphrase.encode())
        except WeaverError as error:
            raise WeaverError(
                f"the passphrase of {file} is wrong",
                where=str(file),
                fix=f"try again, or put the key into the agent: ssh-add {file}",
            ) from error


def _from_file(file: Path, passphrase: bytes | None) -> paramiko.PKey:
    """The key in a file of any form. Raises TypeError where a passphrase is missing.

    The reader of paramiko derives a key from the passphrase twice, and knows fewer forms.
    """
    try:
        data = file.read_bytes()
        try:
            loaded: object = serialization.load_ssh_private_key(data, passphrase)
        except ValueError:
            loaded = serialization.load_pem_private_key(data, passphrase)
        key = _as_paramiko(loaded)
        certificate = Path(f"{file}-cert.pub")
        if certificate.exists():
            key.load_certificate(str(certificate))
    except (OSError, ValueError, UnsupportedAlgorithm, paramiko.SSHException) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WeaverError(
            f"the private key {file} cannot be used",
            where=str(file),
            why=reason or type(error).__name__,
            fix="correct the file or its permissions; a key of a security token works through "
            "the agent",
        ) from error
    return key


def _as_paramiko(loaded: object) -> paramiko.PKey:
    kind: type[paramiko.PKey]
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        kind = paramiko.Ed25519Key
    elif isinstance(loaded, ec.EllipticCurvePrivateKey):
        kind = paramiko.ECDSAKey
    elif isinstance(loaded, rsa.RSAPrivateKey):
        kind = paramiko.RSAKey
    else:
        raise UnsupportedAlgorithm(f"keys of this kind are not supported: {type(loaded).__name__}")
    text = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return kind.from_private_key(io.StringIO(text.decode()))


def _public_part(file: Path) -> bytes | None:
    """The bytes of the public key beside a private one, None where there is none."""
    try:
        return base64.b64decode(Path(f"{file}.pub").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None


@contextlib.contextmanager
def agent_at(path: str) -> Generator[AgentSSH | None, None, None]:
    """The agent that listens at a socket, None if none does."""
    if not path:
        yield None
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(AGENT_PATIENCE)
        try:
            connection.connect(path)
            agent = AgentSSH()
            # The public class knows the agent of the environment only.
            agent._connect(connection)  # type: ignore[attr-defined]  # noqa: SLF001
        except (OSError, paramiko.SSHException):
            yield None
        else:
            yield agent
