"""Which deployments run on a host: those whose envelope takes connections."""

from __future__ import annotations

import socket
from typing import Any

from weaver.deployers.ssh.host.place import Place


def deployments(place: Place) -> dict[str, Any]:
    """The sockets of envelopes that listen, by deployment."""
    folder = place.root / "run"
    found = sorted(folder.glob("*/e.sock")) if folder.is_dir() else []
    return {path.parent.name: str(path) for path in found if _listens(str(path))}


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
