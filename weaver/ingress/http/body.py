"""Where a body ends in the bytes of a connection, and how it is framed again.

Decides what of the bytes that arrived is payload, and refuses chunks that another reader might
cut elsewhere: extensions, sizes beyond 15 digits, ends that are not CR LF. Trailers are read and
dropped. Nothing is kept but an unfinished line.
"""

import re
from typing import Final, Protocol

from weaver.ingress.http import rules
from weaver.ingress.http.refusal import Refusal

_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_LONGEST_LINE: Final = 17
_LONGEST_TRAILERS: Final = 8192
LAST_CHUNK: Final = b"0\r\n\r\n"


class Body(Protocol):
    """A body that is being read; `complete` once its last byte was fed."""

    complete: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The payload in `data`, and what follows the body. Raises `Refusal`."""
        ...


class FixedBody:
    """A body of `length` bytes."""

    __slots__ = ("_left", "complete")

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The payload in `data`, and what follows the body."""
        if len(data) < self._left:
            self._left -= len(data)
            return data, b""
        payload, rest = data[: self._left], data[self._left :]
        self._left = 0
        self.complete = True
        return payload, rest


class OpenBody:
    """A body that ends with its connection: `complete` is for the connection to set."""

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """All of `data` is payload."""
        return data, b""


class ChunkedBody:
    """A body in chunks; `_left` is what is missing of a chunk, with its CR LF."""

    __slots__ = ("_left", "_line", "_trailers", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._left = 0
        self._line = b""
        self._trailers: int | None = None

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The payload in `data`, and what follows the body. Raises `Refusal`."""
        payload: list[bytes] = []
        position = self._read_trailers(data, self._read_chunks(data, payload))
        return b"".join(payload), data[position:]

    def _read_chunks(self, data: bytes, payload: list[bytes] | None) -> int:
        """Read up to the trailers, or all; where they begin. Add what is in them to `payload`."""
        position, end = 0, len(data)
        while position < end and self._trailers is None:
            if self._left > 2:
                stop = min(position + self._left - 2, end)
                if payload is not None:
                    payload.append(data[position:stop])
                self._left -= stop - position
                position = stop
            elif self._left:
                if data[position] != b"\n\r"[self._left - 1]:
                    raise Refusal(400, "a chunk does not end in CR LF")
                position += 1
                self._left -= 1
            else:
                position = self._read_line(data, position)
        return position

    def _read_trailers(self, data: bytes, position: int) -> int:
        while position < len(data) and not self.complete:
            position = self._read_line(data, position)
        return position

    def _read_line(self, data: bytes, position: int) -> int:
        """Take bytes up to a line's end; the position after them."""
        limit = _LONGEST_LINE if self._trailers is None else _LONGEST_TRAILERS
        found = data.find(b"\n", position)
        stop = len(data) if found < 0 else found + 1
        line = self._line + data[position:stop]
        if len(line) > limit:
            what = "a chunk's size is too long" if self._trailers is None else "trailers too long"
            raise Refusal(400, what)
        if found < 0:
            self._line = line
            return stop
        self._line = b""
        if not line.endswith(b"\r\n"):
            raise Refusal(400, "a line of a chunked body ends in a bare LF")
        if self._trailers is None:
            self._size(line[:-2])
        else:
            self._trailer(line)
        return stop

    def _size(self, line: bytes) -> None:
        if b";" in line:
            raise Refusal(400, "chunk extensions are not accepted")
        if _SIZE.fullmatch(line) is None:
            raise Refusal(400, "a chunk's size is not a hexadecimal number of at most 15 digits")
        size = int(line, 16)
        if size:
            self._left = size + 2
        else:
            self._trailers = 0

    def _trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.complete = True
            return
        assert self._trailers is not None
        self._trailers += len(line)
        if self._trailers > _LONGEST_TRAILERS:
            raise Refusal(400, "trailers too long")
        rules.check_fields(line)


class FramedBody(ChunkedBody):
    """A body in chunks that is passed on in them: `feed` gives what was read, without trailers."""

    __slots__ = ()

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The chunks in `data`, and what follows the body. Raises `Refusal`."""
        before = self._line if self._trailers is None else b""
        position = self._read_chunks(data, None)
        chunks = before + data[:position]
        if self._line:  # it may break a rule yet
            chunks = chunks[: -len(self._line)]
        if self._trailers is not None:
            position = self._read_trailers(data, position)
            if self.complete:
                chunks += b"\r\n"
        return chunks, data[position:]


def is_whole(data: bytes, position: int) -> bool:
    """Whether `data` from `position` on is one whole body in chunks, without trailers."""
    if data.endswith(b"\r\n0\r\n\r\n"):
        end = len(data) - len(LAST_CHUNK)
        while position < end and (size := _SIZE_LINE.match(data, position)) is not None:
            position = size.end() + int(size[1], 16) + 2
            if data[position - 2 : position] != b"\r\n":
                return False
        return position == end
    return False


def chunk(payload: bytes) -> bytes:
    """`payload`, which is not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
