"""What an examination says of a host, check by check."""

from typing import Final, Literal, get_args

import msgspec

Level = Literal["ok", "warn", "fail"]
Check = Literal[
    "connect",
    "python",
    "system",
    "disk",
    "directory",
    "limits",
    "clock",
    "ports",
    "logout",
    "weaver",
    "peers",
    "build",
]

CHECKS: Final[tuple[Check, ...]] = get_args(Check)
"""In the order in which they are shown."""


class Verdict(msgspec.Struct, frozen=True):
    """How one check went; when it is ok, `what` is a word or two for a table."""

    level: Level
    what: str
    why: str = ""
    fix: str = ""


class Finding(msgspec.Struct, frozen=True):
    """A verdict, of which host and which check."""

    host: str
    check: Check
    level: Level
    what: str
    why: str = ""
    fix: str = ""


def finding(host: str, check: Check, verdict: Verdict) -> Finding:
    """The verdict of a check on a host."""
    return Finding(host, check, verdict.level, verdict.what, verdict.why, verdict.fix)
