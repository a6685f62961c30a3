"""Where a PEX is cut, so that two builds of one application have most of their chunks in common.

This file decides the borders; it must not know hosts. Pure: bytes in, chunks out. A border follows
from the content around it, never from its place, so an edit changes the chunk that it is in and
its entry in the central directory. A file that is no zip file is cut in fixed blocks.
"""

import hashlib
import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from weaver.deployers.ssh.plain_form import Form, Part, as_it_is, plain, restored
from weaver.deployers.ssh.zip_directory import read_directory

MOST: Final = 256 * 1024
"""No chunk is larger: as much may have to be sent again after an interruption."""

DIGEST_SIZE: Final = 12
"""Bytes of the SHA-256 by which a chunk is known; the whole file is held to all 32 of its own."""

_WHEELS: Final = ".deps/"
_NOT_OWN: Final = (".bootstrap/", "weaver/")  # pex, and the runtime
_STABLE_LEAST: Final = 64 * 1024
_OWN_SIZE: Final = 512
_OWN_CHUNKS: Final = 512  # about: their digests travel with every deploy
_ENTRIES: Final = 1024
_LINE: Final = 32  # bytes of a line, about
_ENTRY: Final = 80  # bytes of an entry, about


class Chunk(NamedTuple):
    """A part of a form of a file, and the beginning of its SHA-256."""

    digest: bytes
    data: bytes


class Split(NamedTuple):
    """The chunks of a form of a file in their order, and how to make the file from them."""

    chunks: tuple[Chunk, ...]
    restoring: tuple[int, int] | None
    inflated: bool


def split(data: bytes, *, inflate: bool = True) -> Split:
    """Cut a file. Without `inflate`, restoring it does not depend on how zlib deflates."""
    directory = read_directory(data)
    form = None
    if directory is not None:
        form = plain(data, directory, lambda name: inflate and not _key(name, 1))
    if form is None:
        form = as_it_is(data, directory)
    borders = sorted({0, len(form.data), *_borders(form)})
    pieces = [form.data[start:end] for start, end in _pieces(borders)]
    chunks = (Chunk(hashlib.sha256(piece).digest()[:DIGEST_SIZE], piece) for piece in pieces)
    return Split(tuple(chunks), form.restoring, form.inflated)


def join(parts: Split) -> bytes:
    """The file."""
    return restored(b"".join(chunk.data for chunk in parts.chunks), parts.restoring)


def _pieces(borders: list[int]) -> Iterator[tuple[int, int]]:
    for start, end in itertools.pairwise(borders):
        for at in range(start, end, MOST):
            yield at, min(at + MOST, end)


def _borders(form: Form) -> Iterator[int]:
    if not form.entries:
        return
    first, directory = form.members[0].start, form.entries[0].start
    stretches = [(key, start) for key, start in _stretches(form.members)]
    own = [(0, first)] if first < _STABLE_LEAST else []
    for (key, start), (_, end) in itertools.pairwise([*stretches, ("", directory)]):
        yield start
        if not key:
            own.append((start, end))
    size = _chunk_size(sum(end - start for start, end in own))
    for start, end in own:
        yield from _lines(form.data, start, end, size)
    yield from _group(form.members)
    yield from _group(form.entries, _ENTRIES)
    yield form.end


def _chunk_size(own: int) -> int:
    """How large chunks of the application's own code are; a power of two, which rarely changes."""
    size = _OWN_SIZE
    while size * _OWN_CHUNKS < own:
        size *= 2
    return size


def _stretches(members: Iterable[Part]) -> Iterator[tuple[str, int]]:
    """Where members begin that are alike in being the application's own, or not."""
    for key, parts in itertools.groupby(members, key=lambda part: _key(part.name, 1)):
        yield key, next(parts).start


def _lines(data: bytes, start: int, end: int, size: int) -> Iterator[int]:
    """Borders behind lines that are chosen by what they say, some `size` bytes apart.

    Far fewer are chosen than could be, so that they, and not the last border, decide the next one.
    """
    chunk = line = start
    while (following := data.find(b"\n", line, end) + 1) > 0:
        length = following - chunk
        chosen = zlib.crc32(data[line:following]) % (size // _LINE) == 0
        if (chosen and length >= size // 2) or length >= 4 * size:
            yield following
            chunk = following
        line = following


def _group(parts: Iterable[Part], own: int | None = None) -> Iterator[int]:
    """The starts of parts that begin a chunk: of those that are not the application's own.

    With `own`, also of its own: names decide, and chunks are some `own` bytes long.
    """
    depth = 2 if own is None else 1
    start, key = -1, ""
    for part in parts:
        its_key, size = _key(part.name, depth), part.start - start
        cut = start < 0 or its_key != key
        if its_key:
            cut = cut or size >= _STABLE_LEAST
        elif own is not None:
            chosen = zlib.crc32(part.name.encode()) % (own // _ENTRY) == 0
            cut = cut or size >= 4 * own or (chosen and size >= own // 2)
        if cut:
            start, key = part.start, its_key
            yield start


def _key(name: str, depth: int) -> str:
    """What a member changes with, such as one wheel; "" for the application's own code.

    Where a wheel begins a chunk, applications share it: at a depth of 2 folders.
    """
    if name.startswith(_WHEELS):
        return "/".join(name.split("/", depth)[:depth])
    if name.startswith(_NOT_OWN):
        return name.partition("/")[0]
    return ""
