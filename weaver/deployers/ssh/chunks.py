"""Where a PEX is cut, so that two builds of one application have most of their chunks in common.

This file decides the borders; it must not know hosts. Pure: bytes in, chunks out. A border follows
from the names of zip members around it, never from their place, so an edit changes the chunk that
it is in and its entry in the central directory. Any other file is cut in fixed blocks.
"""

import hashlib
import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from weaver.deployers.ssh.host.offsets import clear, restore

MOST: Final = 256 * 1024
"""No chunk is larger: as much may have to be sent again after an interruption."""

DIGEST_SIZE: Final = 12
"""Bytes of the SHA-256 by which a chunk is known; the whole file is held to all 32 of its own."""

_PEX_ITSELF: Final = ".bootstrap/"
_WHEELS: Final = ".deps/"
_STABLE_LEAST: Final = 64 * 1024
_CHANGED: Final = ("PEX-INFO", "__main__.py", "__pex__/")  # with every build: they hold its hash
_ALONE: Final = ("weaver_manifest.json",)  # likewise, among others that do not change
_STUB: Final = 1024  # block size of what stands before the zip file
_OWN: Final = (1024, 2 * 1024)  # least, and most unless one member is larger
_ENTRIES: Final = (2 * 1024, 4 * 1024)

_END: Final = struct.Struct("<4s4H2LH")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT: Final = 0xFFFF


class Chunk(NamedTuple):
    """A part of a file, and the beginning of its SHA-256."""

    digest: bytes
    data: bytes


class Offsets(NamedTuple):
    """Arguments of `restore`: what is to be done with the chunks when they are together."""

    start: int
    first: int
    shift: int


class Split(NamedTuple):
    """The chunks of a file in their order."""

    chunks: tuple[Chunk, ...]
    offsets: Offsets | None


class _Member(NamedTuple):
    """A part of the file that belongs to a zip member: its data, or its entry."""

    name: str
    start: int


class _Directory(NamedTuple):
    """What the central directory says; `end` is that of its entries."""

    members: list[_Member]
    entries: list[_Member]
    shift: int
    end: int


def split(data: bytes) -> Split:
    """Cut a file."""
    directory = _directory(data)
    if directory is None:
        return Split(_cut(data, [0, len(data)]), None)
    plain, offsets = _without_offsets(data, directory)
    return Split(_cut(plain, [0, *_borders(directory), len(plain)]), offsets)


def join(parts: Split) -> bytes:
    """The file."""
    data = bytearray(b"".join(chunk.data for chunk in parts.chunks))
    if parts.offsets is not None:
        restore(data, *parts.offsets)
    return bytes(data)


def _cut(data: bytes, borders: list[int]) -> tuple[Chunk, ...]:
    pieces = (data[start:end] for start, end in _pieces(sorted(set(borders))))
    return tuple(Chunk(hashlib.sha256(piece).digest()[:DIGEST_SIZE], piece) for piece in pieces)


def _pieces(borders: list[int]) -> Iterator[tuple[int, int]]:
    for start, end in itertools.pairwise(borders):
        for at in range(start, end, MOST):
            yield at, min(at + MOST, end)


def _without_offsets(data: bytes, directory: _Directory) -> tuple[bytes, Offsets | None]:
    """The file with its offsets cleared, where they can be found again; else as it is."""
    if not directory.entries:
        return data, None
    first = min(member.start for member in directory.members)
    offsets = Offsets(directory.entries[0].start, first, directory.shift)
    cleared = bytearray(data)
    clear(cleared, (entry.start for entry in directory.entries))
    restored = bytearray(cleared)
    try:
        restore(restored, *offsets)
    except struct.error:
        return data, None
    return (bytes(cleared), offsets) if restored == data else (data, None)


def _borders(directory: _Directory) -> list[int]:
    members = sorted(directory.members, key=lambda member: member.start)
    first = members[0].start if members else 0
    return [
        *range(0, min(first, 64 * _STUB), _STUB),
        *_group(members, _OWN, depth=2),
        *_group(directory.entries, _ENTRIES, depth=1),
        directory.end,
    ]


def _group(parts: Iterable[_Member], own: tuple[int, int], depth: int) -> Iterator[int]:
    """The starts of parts that begin a chunk."""
    least, most = own
    start, key = -1, ""
    for part in parts:
        its_key, size = _key(part.name, depth), part.start - start
        if start < 0 or its_key != key:
            cut = True
        elif its_key:
            cut = size >= _STABLE_LEAST
        else:  # the name decides, so that borders stay where they are when sizes change
            chosen = zlib.crc32(part.name.encode()) % 3 == 0
            cut = size >= most or (size >= least and chosen)
        if cut:
            start, key = part.start, its_key
            yield start


def _key(name: str, depth: int) -> str:
    """What a member changes with, such as one wheel; "" for the application's own code.

    Where a wheel begins a chunk, applications share it: at a depth of 2 folders.
    """
    if name.startswith(_WHEELS):
        return "/".join(name.split("/", depth)[:depth])
    if name.startswith(_PEX_ITSELF):
        return _PEX_ITSELF
    if name.startswith(_CHANGED):
        return "changed"
    return name if name in _ALONE else ""


def _directory(data: bytes) -> _Directory | None:
    """The central directory; None if this is no zip file, or one of another form."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if at < 0 or at + _END.size > len(data):
        return None
    *_, count, size, offset, _ = _END.unpack_from(data, at)
    start, shift = at - size, at - size - offset  # `shift` bytes before it are not counted in it
    if start < 0 or shift < 0:
        return None
    found = _Directory([], [], shift, at)
    for _ in range(count):
        if start + _ENTRY.size > at:
            return None
        magic, *fields = _ENTRY.unpack_from(data, start)
        (name_size, extra, comment), header = fields[9:12], fields[-1] + shift
        if magic != b"PK\x01\x02" or header + 30 > at:
            return None
        name = data[start + _ENTRY.size : start + _ENTRY.size + name_size].decode(
            "utf-8", "replace"
        )
        found.members.append(_Member(name, header))
        found.entries.append(_Member(name, start))
        start += _ENTRY.size + name_size + extra + comment
    return found
