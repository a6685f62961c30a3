"""Carry out the calls that stand on standard input, and reply with one line after a magic one.

What a login shell prints is before the magic line. A fault ends the calls: those before it are
done, and it is the whole reply.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import zlib
from pathlib import Path
from typing import Any

from weaver.deployers.ssh.host.place import Fault, Place

MAGIC = "weaver-reply-1"
_PATIENCE = 60  # seconds, until the caller has said theirs


def main() -> None:
    """Read [directory, [[module, function, arguments], ...], patience], packed, with its size.

    A caller that sends nothing for `patience` seconds is gone: then this process is ended by the
    system, which gives back its locks.
    """
    source, directory, patience = sys.stdin.buffer, "", _PATIENCE
    try:
        signal.alarm(patience)
        packed = source.read(int(source.readline()))
        signal.alarm(0)
        directory, calls, patience = json.loads(zlib.decompress(packed))
        place = Place(directory, source, patience)
        reply: dict[str, Any] = {"results": _call_all(place, calls)}
    except Fault as fault:
        reply = {"fault": vars(fault)}
    except OSError as error:
        reply = {"fault": vars(_explained(error, directory))}
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side is to hear of it
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        line = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""
        why = f"{type(error).__name__}: {error}"
        reply = {"fault": vars(Fault("defect", "weaver's program has failed", line, why))}
    with contextlib.suppress(OSError):
        sys.stdout.write(f"\n{MAGIC}\n{json.dumps(reply)}\n")
        sys.stdout.flush()
        signal.alarm(patience)
        while source.read(1 << 16):  # whoever still sends would take a closed pipe for a lost host
            pass


def _call_all(place: Place, calls: Any) -> list[Any]:
    """The results, up to one that says `stop`: the calls after it would be of no use."""
    results: list[Any] = []
    for module, name, arguments in calls:
        home = sys.modules["weaver.deployers.ssh.host." + module]
        result: Any = getattr(home, name)(place, **arguments)
        results.append(result)
        if name == "receive" and result["stop"]:
            break
    return results


def _explained(error: OSError, directory: str) -> Fault:
    where = str(error.filename or directory or "~/.weaver")
    why = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        inodes = _no_inodes(where)
        return Fault(
            "full",
            "the disk has no inodes left" if inodes else "the disk is full",
            where,
            why,
            "remove files there, or old releases: weaver prune; or choose another place with dir=",
        )
    return Fault("os", "a file cannot be written or read", where, why, "check owner and mode there")


def _no_inodes(where: str) -> bool:
    folder = next((f for f in (Path(where), *Path(where).parents) if f.is_dir()), Path("/"))
    found = os.statvfs(str(folder))
    return found.f_files > 0 and found.f_favail == 0
