"""Messages on a byte stream: each a length of four bytes and a tagged map.

Decides where one message ends and the next begins, and refuses what cannot be one before it
allocates anything for it. It must not know what carries the bytes.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, Generic, TypeVar

import msgspec

from weaver.errors import ProtocolError

M = TypeVar("M")

LENGTH: Final = Struct("<I")
MAX_MESSAGE: Final = 64 * 1024 * 1024

_encoder: Final = msgspec.msgpack.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """One message with its length in front."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


class Codec(Generic[M]):
    """Decodes one family of messages, such as `Codec(FromProclet)`."""

    def __init__(self, family: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(family)

    def decode(self, body: bytes | memoryview) -> M:
        """The message in a body without its length. Raises ProtocolError for anything else."""
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError("a control message cannot be read", why=str(error)) from error

    def unpack(self, framed: bytes) -> M:
        """The one message that `encode` made. Raises ProtocolError."""
        return self.decode(framed[LENGTH.size :])


class Receiver(Generic[M]):
    """Cuts the bytes of one stream into messages. Feed it what arrives, in order."""

    def __init__(self, codec: Codec[M]) -> None:
        self._codec = codec
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[M]:
        """The messages that are complete with these bytes.

        Raises ProtocolError for one that is too long or cannot be read; the stream is then of no
        further use.
        """
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            if length > MAX_MESSAGE:
                raise ProtocolError(
                    f"a control message of {length} bytes exceeds the limit of {MAX_MESSAGE}",
                    why="the peer does not speak the control protocol, or the stream is damaged",
                )
            end = LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[LENGTH.size : end])
            del self._buffer[:end]
            yield self._codec.decode(body)
