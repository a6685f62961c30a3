"""What an application asks of a host: read from its PEX, without running it."""

from pathlib import Path
from typing import Final

import msgspec

from weaver.deployers.launch import config_of
from weaver.deployers.ssh.preflight.probe import Listener
from weaver.packaging import manifest
from weaver.transport.listening import split

# The PEX, its parts as they were sent, and the environment with bytecode: 7.3 times its size for a
# small application.
_SPACE_FACTOR: Final = 8
_SPACE_LEAST: Final = 64 * 1024**2


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a host must have; without an application, what every one would need.

    `python` is the minor version that the PEX was built for, `wheels` what it holds, `size` is in
    bytes. `service` says that a unit of systemd will start the envelope; `here`, that it is about
    this machine, without SSH.
    """

    app: str = ""
    python: str = ""
    wheels: tuple[str, ...] = ()
    size: int = 0
    listeners: tuple[Listener, ...] = ()
    service: bool = False
    here: bool = False

    @property
    def space(self) -> int:
        """Bytes that a first deploy takes on a host."""
        return max(self.size * _SPACE_FACTOR, _SPACE_LEAST)


def needs_of(pex: Path, *, service: bool = False) -> Needs:
    """What a PEX needs. Raises PexError for a file that is none, ConfigError for its settings."""
    found = manifest.read(pex)
    config = config_of(found)
    addresses = {name: config.listener(name).address for name in found.listeners}
    return Needs(
        app=found.app,
        python=found.python,
        wheels=(*manifest.read_pex_info(pex)["distributions"], *found.native),
        size=pex.stat().st_size,
        listeners=tuple(
            Listener(name, *split(address))
            for name, address in addresses.items()
            if not address.startswith("unix:")
        ),
        service=service,
    )
