"""How much one connection may hold: the numbers that keep its memory bounded.

This file decides the defaults and what fits together; it must not know who enforces them.
"""

from typing import Final

import msgspec

from weaver.errors import CodecError, UsageError
from weaver.frames import MAX_PAYLOAD, MAX_U32

KIB: Final = 1024
MIB: Final = 1024 * KIB

NO_COPY: Final = 48 * KIB
"""Bodies from this size on go to the writer as they are; below it, a copy is cheaper."""

MIN_CHUNK: Final = 32
"""Smaller parts of a large body would cost more memory than they carry."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one connection. Sizes are in bytes; each holds for each direction by itself.

    `max_message`: one body. `max_calls`: calls in flight. `chunk`: what a large body is cut into.
    `stream_window`: bytes a stream may be ahead of its reader (one item may pass it).
    `high_water`: queued bytes above which callers and producers wait. `max_queued`: queued bytes
    above which new calls of the peer are refused. `max_reassembly`: large bodies on their way.
    Raises UsageError where two limits contradict each other.
    """

    max_message: int = 64 * MIB
    max_calls: int = 1024
    chunk: int = 128 * KIB
    stream_window: int = MIB
    high_water: int = MIB
    max_queued: int = 128 * MIB
    max_reassembly: int = 128 * MIB

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not 0 < value <= MAX_U32:
                raise UsageError(f"limit {name} is {value}; it must be from 1 to {MAX_U32}")
        if self.chunk > MAX_PAYLOAD // 2:
            raise UsageError(f"limit chunk is {self.chunk}; the most is {MAX_PAYLOAD // 2}")
        if self.chunk < MIN_CHUNK:
            raise UsageError(f"limit chunk is {self.chunk}; the least is {MIN_CHUNK}")
        if self.max_reassembly < self.max_message:
            raise UsageError(
                f"limit max_reassembly is {self.max_reassembly}, less than one message of"
                f" {self.max_message}",
                fix="raise max_reassembly to at least max_message",
            )


def check_size(size: int, limits: Limits) -> None:
    """Raises CodecError, naming the size and the limit, when a body may not travel."""
    if size > limits.max_message:
        raise CodecError(
            f"a value of {in_words(size)} exceeds the limit of {in_words(limits.max_message)}",
            why="a message must fit in memory on both sides",
            fix="raise `max_message` in [app] of weaver.toml, or return the value in parts"
            " from an async generator",
        )


def in_words(size: int) -> str:
    """`100 MiB`, `1.5 KiB`, `17 bytes`: the largest unit that is not a fraction."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"
