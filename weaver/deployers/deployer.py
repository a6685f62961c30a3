"""What a deployer must be able to do: start the envelope of a host, and connect to it.

Decides the border between what all environments have in common (the control loop) and what each
does in its own way. What bytes on a link mean is not known here.
"""

import asyncio
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from weaver.errors import WeaverError

UNREAD: Final = 16 * 1024 * 1024
"""Bytes that may wait for an envelope that does not read; then its link is given up."""


class Link(Protocol):
    """A byte stream to an envelope."""

    def send(self, data: bytes) -> None:
        """Send bytes, in order, without waiting; bytes for a link that has ended are dropped."""
        ...

    async def receive(self) -> bytes:
        """The bytes that come next, b"" once the stream has ended. Raises OSError."""
        ...

    def close(self) -> None:
        """End the stream now. Safe to call twice."""
        ...


class Completed(NamedTuple):
    """How a command on a host ended; `exit_code` is negative for a signal or a lost connection."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Command(NamedTuple):
    """A command to run beside the replicas of a host, in the environment of the application.

    The release's own programs, its Python first, are on PATH. `seconds` is how long it may take.
    """

    words: tuple[str, ...]
    environment: dict[str, str]
    seconds: float


class Deployer(Protocol):
    """Starts and reaches envelopes in one kind of environment."""

    async def start_envelope(self, host: str) -> None:
        """Start the envelope of a host; it accepts connections when this returns.

        Raises WeaverError. Whoever calls this bounds the time, by cancelling it.
        """
        ...

    def control_path(self, host: str) -> str:
        """Where the envelope of a host listens, as processes of that host name it."""
        ...

    async def connect(self, host: str) -> Link | None:
        """A link to the envelope of a host, or None where none runs. Raises WeaverError, OSError.

        A connection that may come back, such as one over a network, is an OSError and not None.
        """
        ...

    async def has_ended(self, host: str) -> bool:
        """Whether the envelope's process is known to have ended, after its link has.

        May wait a moment for the answer. False where it cannot be known.
        """
        ...

    async def execute(self, host: str, command: Command) -> Completed:
        """Run a command on a host and wait for it. Raises WeaverError where that cannot be.

        One that takes too long is ended, which is a WeaverError too.
        """
        ...


class OwnedDeployer(Deployer, Protocol):
    """A deployer together with what it holds: connections, processes of its own."""

    async def aclose(self, seconds: float = 15.0) -> None:
        """Give back what reaching envelopes has taken, and wait for those that end with us."""
        ...


class SocketLink:
    """A link over an asyncio stream, such as a Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes; an envelope that does not read them loses its link."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        self._writer.write(data)
        if transport.get_write_buffer_size() > UNREAD:
            transport.abort()

    async def receive(self) -> bytes:
        """The bytes that come next, b"" once the stream has ended. Raises OSError."""
        return await self._reader.read(256 * 1024)

    def close(self) -> None:
        """End the stream now."""
        self._writer.transport.abort()


async def connect_unix(path: Path) -> SocketLink | None:
    """A link to the Unix socket of an envelope on this machine, or None where nobody listens.

    Raises WeaverError where it may not be used.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise WeaverError(
            "the control socket of an envelope cannot be used",
            where=str(path),
            why=error.strerror or str(error),
            fix="correct its permissions; it must be yours alone",
        ) from error
    return SocketLink(reader, writer)


def not_started(command: Command, why: str) -> WeaverError:
    """The error of a command that cannot be run."""
    return WeaverError(
        f"{command.words[0]} cannot be run",
        why=why,
        fix="name a program of the application's release or of the host",
    )


def too_late(command: Command) -> WeaverError:
    """The error of a command that was ended because it took too long."""
    return WeaverError(
        f"{command.words[0]} did not end within {command.seconds:g} s, and was ended",
        fix="give it more time: --timeout",
    )
