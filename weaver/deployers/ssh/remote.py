"""A host on which commands can be run: the border between what is done there and how it is reached.

Everything here blocks, for threads; the control loop's event loop calls none of it itself.
"""

from collections.abc import Iterable
from typing import Protocol

from weaver.deployers.deployer import Completed as Completed  # noqa: PLC0414 # part of what is declared here


class Remote(Protocol):
    """A host that commands can be run on."""

    @property
    def name(self) -> str:
        """What hosts.txt calls the host."""
        ...

    def run(
        self, command: str, *, stdin: bytes | Iterable[bytes] = b"", timeout: float
    ) -> Completed:
        """Run a command line in the login shell of the host, whichever that is, and wait for it.

        `timeout` is in seconds. Raises Unreachable where the connection does not answer in time,
        or is lost; never for the command's own failure.
        """
        ...
