"""The plain form of a zip file, in which an edit changes little. Pure; host/plain.py undoes it."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

from weaver.deployers.ssh.host.plain import INFLATED, deflated, restore
from weaver.deployers.ssh.zip_directory import Directory, Member

_LARGEST: Final = 4 * 1024 * 1024  # bytes of a member that is inflated


class Part(NamedTuple):
    """The place of a member, or of an entry, in a form of the file."""

    name: str
    start: int


class Form(NamedTuple):
    """A form of a file: its bytes, and where in them members and entries are.

    `restoring` are the arguments of `restore`, or None for the file as it is. `inflated` tells
    whether restoring depends on how zlib deflates.
    """

    data: bytes
    members: tuple[Part, ...]
    entries: tuple[Part, ...]
    end: int
    restoring: tuple[int, int] | None
    inflated: bool


def as_it_is(data: bytes, directory: Directory | None) -> Form:
    """The file itself."""
    if directory is None:
        return Form(data, (), (), len(data), None, inflated=False)
    members = tuple(sorted((Part(m.name, m.header) for m in directory.members), key=_start))
    entries = tuple(Part(m.name, m.entry) for m in directory.members)
    return Form(data, members, entries, directory.end, None, inflated=False)


def plain(data: bytes, directory: Directory, own: Callable[[str], bool]) -> Form | None:
    """The plain form; `own` tells by its name whether a member is inflated.

    None for a zip file that could not be made again from it.
    """
    if not directory.contiguous:
        return None
    first = directory.members[0].header
    out = bytearray(data[:first])
    members: list[Part] = []
    entries: list[Part] = []
    inflated = False
    for member in directory.members:
        members.append(Part(member.name, len(out)))
        content = _inflated(data, member) if own(member.name) else None
        header = data[member.header : member.data]
        if content is None:
            out += header + data[member.data : member.end]
        else:
            inflated = True
            out += header[:18] + struct.pack("<L", INFLATED) + header[22:] + content
    for member, following in zip(
        directory.members, [*(m.entry for m in directory.members[1:]), directory.end], strict=True
    ):
        entries.append(Part(member.name, len(out)))
        entry = data[member.entry : following]
        out += entry[:20] + bytes(4) + entry[24:42] + bytes(4) + entry[46:]
    end = len(out)
    out += data[directory.end : directory.end + 16] + bytes(4) + data[directory.end + 20 :]
    form = Form(bytes(out), tuple(members), tuple(entries), end, (first, directory.shift), inflated)
    return form if restored(form.data, form.restoring) == data else None


def restored(data: bytes, restoring: tuple[int, int] | None) -> bytes:
    """The file, from a form of it."""
    if restoring is None:
        return data
    out = io.BytesIO()
    try:
        restore(data, out, *restoring)
    except struct.error:
        return b""
    return out.getvalue()


def _inflated(data: bytes, member: Member) -> bytes | None:
    """The content of a member, if packing it gives the same bytes again."""
    if not member.packed or member.size > _LARGEST:
        return None
    packed = data[member.data : member.end]
    try:
        content = zlib.decompress(packed, -15, _LARGEST)
    except zlib.error:
        return None
    return content if len(content) == member.size and deflated(content) == packed else None


def _start(part: Part) -> int:
    return part.start
