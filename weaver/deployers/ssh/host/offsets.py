"""The offsets in the central directory of a zip file: they follow from the sizes, so none travels.

Each edit moves all members behind it. Cleared, the entries of those stay the same.
"""

from __future__ import annotations

import struct
from typing import Any

_ENTRY = 46  # bytes before the name
_AT = 42  # of the offset in an entry
_HEADER = 30  # bytes before the name of a member


def clear(data: Any, entries: Any) -> None:
    """Set the offsets to zero in a mutable buffer; `entries` is where the entries begin."""
    for at in entries:
        data[at + _AT : at + _ENTRY] = bytes(4)


def restore(data: Any, start: int, first: int, shift: int) -> None:
    """Set the offsets, for members that lie one behind the other as their entries do.

    The directory is at `start`, the first member at `first`; offsets are counted from `shift`. For
    what is no such file the result is of no use, which its SHA-256 shows.
    """
    at, member = start, first
    while data[at : at + 4] == b"PK\x01\x02" and member + _HEADER <= len(data):
        data[at + _AT : at + _ENTRY] = struct.pack("<L", member - shift)
        (size,) = struct.unpack_from("<L", data, at + 20)
        member += _HEADER + sum(struct.unpack_from("<2H", data, member + 26)) + size
        at += _ENTRY + sum(struct.unpack_from("<3H", data, at + 28))
