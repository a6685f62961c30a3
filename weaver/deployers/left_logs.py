"""The files of a deployment's log: what is in them, and which of them stay when it is over.

A manager writes them (kept_logs.py); whoever reads them needs none.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from weaver.control.messages import LogRecord

NEWER: Final = "log.jsonl"
OLDER: Final = "log.1.jsonl"

_decode: Final = msgspec.json.Decoder(LogRecord).decode


def read(folder: Path) -> Iterator[LogRecord]:
    """What is kept in `folder`, the oldest first; lines that cannot be read are left out."""
    for name in (OLDER, NEWER):
        with contextlib.suppress(OSError), (folder / name).open("rb") as file:
            for line in file:
                with contextlib.suppress(msgspec.MsgspecError):  # cut off by a full disk
                    yield _decode(line)


def is_kept(folder: Path) -> bool:
    """Whether a log is kept there."""
    return any((folder / name).exists() for name in (OLDER, NEWER))


def leave_only(folder: Path) -> None:
    """Remove all but the log from `folder`; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name not in {OLDER, NEWER}:
                path.unlink(missing_ok=True)
        folder.rmdir()  # where there is no log


def remove(folder: Path) -> None:
    """Remove the log, and `folder` if nothing else is in it."""
    with contextlib.suppress(OSError):
        for name in (OLDER, NEWER):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
