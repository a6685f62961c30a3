"""Hosts without SSH, for everything above connections: homes here, and a client for them."""

import sys
from pathlib import Path
from typing import Any, cast

from ssh_fakes import LocalRemote

from weaver.deployers.ssh.client import Client
from weaver.deployers.ssh.client_config import ClientConfig
from weaver.deployers.ssh.inventory import Host
from weaver.errors import Unreachable, WeaverError


class LocalConnection(LocalRemote):
    """What a deploy uses of a connection."""

    alive = True

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(home, name=name)
        self.config = ClientConfig(hostname="127.0.0.1", port=22, user="me")

    def close(self) -> None:
        pass


class LocalHosts:
    """Hosts by name below a folder; those in `down` cannot be connected to."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.down: set[str] = set()
        self.connections = {name: LocalConnection(folder / name, name) for name in names}
        self.listed = [
            Host(name=name, host=name, address="127.0.0.1", python=sys.executable) for name in names
        ]
        for connection in self.connections.values():
            connection.home.mkdir()

    def connect(self, host: Host) -> Any:
        if host.name in self.down:
            raise Unreachable(f"{host.name} does not answer", where=host.name)
        return self.connections[host.name]

    @property
    def client(self) -> Client:
        """It stands for a Client, of which a deploy uses `connect` alone."""
        return cast("Client", self)


class Watched:
    """Who follows a deploy: the steps of each host, in order."""

    def __init__(self) -> None:
        self.steps: dict[str, list[str]] = {}

    def step(self, host: str, step: str, detail: str = "") -> None:
        del detail
        self.steps.setdefault(host, []).append(step)

    def failed(self, host: str, error: WeaverError) -> None:
        self.step(host, f"failed: {error.what}")
