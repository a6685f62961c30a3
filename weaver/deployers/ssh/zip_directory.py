"""The members of a zip file and their places in it, read from the bytes. Pure."""

import struct
from typing import Final, NamedTuple

_END: Final = struct.Struct("<4s4H2LH")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_HEADER: Final = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT: Final = 0xFFFF


class Member(NamedTuple):
    """One member: its header, its packed content as [data, end), and its entry in the directory."""

    name: str
    packed: bool
    size: int
    header: int
    data: int
    end: int
    entry: int


class Directory(NamedTuple):
    """Members in the order of their entries; those end at `end`. Offsets count from `shift`."""

    members: tuple[Member, ...]
    shift: int
    end: int

    @property
    def contiguous(self) -> bool:
        """Whether members lie one behind the other, in order, up to the entries."""
        ends = [member.end for member in self.members]
        starts = [member.header for member in self.members[1:]]
        return bool(ends) and ends == [*starts, self.members[0].entry]


def read_directory(data: bytes) -> Directory | None:
    """The central directory; None if this is no zip file, or one of another form."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if at < 0 or at + _END.size > len(data):
        return None
    *_, count, size, offset, _ = _END.unpack_from(data, at)
    entry, shift = at - size, at - size - offset  # `shift` bytes before it are not counted in it
    if entry < 0 or shift < 0:
        return None
    members: list[Member] = []
    for _ in range(count):
        found = _read_member(data, entry, shift, at)
        if found is None:
            return None
        member, entry = found
        members.append(member)
    return Directory(tuple(members), shift, at) if entry == at else None


def _read_member(data: bytes, entry: int, shift: int, end: int) -> tuple[Member, int] | None:
    """The member of an entry, and where the next entry is."""
    if entry + _ENTRY.size > end:
        return None
    magic, _, _, _, method, _, _, _, packed, size, *lengths, _, _, _, offset = _ENTRY.unpack_from(
        data, entry
    )
    header = offset + shift
    if magic != b"PK\x01\x02" or header + _HEADER.size > end:
        return None
    *_, name_size, extra = _HEADER.unpack_from(data, header)
    start = header + _HEADER.size + name_size + extra
    if data[header : header + 4] != b"PK\x03\x04" or start + packed > end:
        return None
    name_at = entry + _ENTRY.size
    name = data[name_at : name_at + lengths[0]].decode("utf-8", "replace")
    member = Member(name, method == 8, size, header, start, start + packed, entry)
    return member, name_at + sum(lengths)
