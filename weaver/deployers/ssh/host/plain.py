"""From the plain form of a zip file to the file: what follows from its content is not sent.

In the plain form the application's own members are inflated, so that an edit of one line changes
one line, and offsets and sizes in the central directory are cleared, so that it changes no entry
behind it. ../plain_form.py makes it.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

INFLATED = 0xFFFFFFFF  # as the packed size in the header of a member
HEADER = struct.Struct("<4s14s2L2H")  # magic, much else, packed size, size, of name, of extra
ENTRY = 46  # bytes of an entry before its name
END = 22  # bytes of the end before the comment
_BLOCK = 1 << 20


def restore(plain: Any, out: BinaryIO, first: int, shift: int) -> None:
    """Write the file. Members begin at `first`; offsets are counted from `shift`.

    What is no plain form makes a file of no use, which its SHA-256 shows, or struct.error.
    """
    _copy(plain, 0, first, out)
    at = first
    places: list[tuple[int, int]] = []
    while plain[at : at + 4] == b"PK\x03\x04":
        magic, fields, packed, size, name, extra = HEADER.unpack_from(plain, at)
        header, data, begin = at, at + HEADER.size + name + extra, out.tell()
        at = data + (size if packed == INFLATED else packed)
        if packed == INFLATED:
            body = deflated(plain[data:at])
            packed = len(body)
            out.write(HEADER.pack(magic, fields, packed, size, name, extra))
            out.write(plain[header + HEADER.size : data] + body)
        else:
            _copy(plain, header, at, out)
        places.append((packed, begin - shift))
    start = out.tell() - shift
    for packed, offset in places:
        end = at + ENTRY + sum(struct.unpack_from("<3H", plain, at + 28))
        head = plain[at : at + 20] + struct.pack("<L", packed) + plain[at + 24 : at + 42]
        out.write(head + struct.pack("<L", offset) + plain[at + ENTRY : end])
        at = end
    out.write(plain[at : at + 16] + struct.pack("<L", start) + plain[at + 20 :])


def deflated(data: Any) -> bytes:
    """As zipfile does it. Another zlib may do it differently: then the SHA-256 is wrong."""
    packer = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _copy(plain: Any, start: int, end: int, out: BinaryIO) -> None:
    out.writelines(plain[at : min(at + _BLOCK, end)] for at in range(start, end, _BLOCK))
