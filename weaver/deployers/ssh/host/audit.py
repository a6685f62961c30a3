"""What was done to an application on this host, by whom and with what result: one line each."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from weaver.deployers.ssh.host.place import Place, locked

_MOST = 1 << 20  # bytes, then a new file is begun and one old one kept


def record(place: Place, app: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Append an entry (who, what, build_id, result); the time is that of the host."""
    folder = place.app(app)
    path = folder / "audit.jsonl"
    line = json.dumps(dict(entry, time=time.time())).encode() + b"\n"
    with locked(folder / "guard"):
        if path.exists() and path.stat().st_size + len(line) > _MOST:
            path.replace(folder / "audit.jsonl.1")
        with path.open("ab") as file:
            before = file.tell()
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(str(path), before)  # never half a line
                raise
    return {}


def entries(place: Place, app: str, most: int) -> list[dict[str, Any]]:
    """The last entries, the oldest first."""
    folder = place.app(app)
    lines: list[bytes] = []
    for name in ("audit.jsonl.1", "audit.jsonl"):
        if (folder / name).is_file():
            lines += (folder / name).read_bytes().splitlines()
    return [json.loads(line) for line in lines[-most:]]
