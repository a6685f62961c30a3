"""msgspec's msgpack, with integers of any size: those beyond 64 bits travel as an extension."""

from typing import Any, Final

import msgspec

BIG: Final = 1
"""The extension code of a big integer: its two's complement, little-endian."""
BIG_KEYS: Final = 2
"""The extension code of a map with such integers among its keys: its pairs."""

encode_small: Final = msgspec.msgpack.Encoder().encode
"""As `encode_wire`, without integers beyond 64 bits: raises OverflowError."""

_MOST_BYTES: Final = 1 << 20
_Pairs: Final = list[tuple[Any, Any]]


def encode_wire(value: Any) -> bytes:
    """The bytes of a value that msgspec takes. Raises TypeError, RecursionError."""
    try:
        return encode_small(value)
    except OverflowError:
        return encode_small(_widened(value))


class WireDecoder:
    """Decodes one type. Raises msgspec.MsgspecError, also for what only a big integer would fit.

    `typed` does the same without big integers, and fails for them.
    """

    __slots__ = ("_type", "typed")

    def __init__(self, type_: Any) -> None:
        self._type = type_
        self.typed = msgspec.msgpack.Decoder(type_).decode

    def decode(self, data: bytes | bytearray | memoryview) -> Any:
        """The value; big integers cost a second pass, others nothing."""
        try:
            return self.typed(data)
        except msgspec.ValidationError:
            seen: list[int] = []

            def hook(code: int, body: memoryview) -> Any:
                if code == BIG_KEYS:
                    seen.append(code)
                    return dict(msgspec.msgpack.decode(body, type=_Pairs, ext_hook=hook))
                if code != BIG or len(body) > _MOST_BYTES:
                    raise msgspec.ValidationError(
                        f"extension {code} of {len(body)} bytes"
                    ) from None
                seen.append(code)
                return int.from_bytes(body, "little", signed=True)

            loose = msgspec.msgpack.Decoder(ext_hook=hook).decode(data)
            if not seen:
                raise
            return msgspec.convert(loose, self._type)


def _widened(value: Any) -> Any:
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:
            return value
        size = value.bit_length() // 8 + 1
        return msgspec.msgpack.Ext(BIG, value.to_bytes(size, "little", signed=True))
    if isinstance(value, dict):
        return _widened_map(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_widened(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, msgspec.Struct):
        return [_widened(item) for item in msgspec.structs.astuple(value)]
    return value


def _widened_map(items: dict[Any, Any]) -> Any:
    pairs = [(_widened(key), _widened(value)) for key, value in items.items()]
    if any(isinstance(key, msgspec.msgpack.Ext) for key, _ in pairs):  # which cannot be a key
        return msgspec.msgpack.Ext(BIG_KEYS, encode_small(pairs))
    return dict(pairs)
