"""Whether whoever acts on an application still holds its deploy lock."""

from __future__ import annotations

from pathlib import Path

from weaver.deployers.ssh.host.place import Fault, read_json


def check(app: Path, token: str) -> None:
    """Refuse to go on for a holder whose lock was taken over; "" is of someone who needs none."""
    if not token:
        return
    found = read_json(app / "lock")
    if found is None or found.get("token") != token:
        holder = found.get("owner", "someone") if found else "nobody"
        raise Fault(
            "lock lost",
            "this deploy does not hold the lock any more",
            str(app / "lock"),
            f"it was released or taken over with --steal; now {holder} holds it",
            "ask them, and deploy again",
        )
