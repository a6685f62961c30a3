"""Values without an annotation, such as the fields of an exception: bytes that say what they are.

The receiver builds plain data, and instances of record and enum classes that it has imported; it
imports nothing and runs no code of the wire.
"""

import dataclasses
import datetime
import decimal
import enum
import sys
import uuid
from typing import Any, Final

import msgspec

MOST_DEPTH: Final = 50


class NotPortable(Exception):  # a finding, not an error of anybody
    """A value that cannot travel without an annotation."""


def encode_anything(value: Any) -> bytes:
    """The bytes of a value. Raises NotPortable."""
    try:
        return msgspec.msgpack.encode(_lower(value, 0))
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise NotPortable(str(error)) from None


def decode_anything(data: bytes) -> Any:
    """The value of some bytes. Raises ValueError or TypeError for bytes that are none."""
    return _lift(msgspec.msgpack.decode(data), 0)


_PLAIN: Final = (type(None), bool, float, str, bytes)
_TEXTS: Final[dict[type[Any], tuple[str, Any, Any]]] = {
    decimal.Decimal: ("decimal", str, decimal.Decimal),
    uuid.UUID: ("uuid", str, uuid.UUID),
    datetime.datetime: ("datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.timedelta: (
        "timedelta",
        lambda v: f"{v.days} {v.seconds} {v.microseconds}",
        lambda t: datetime.timedelta(*map(int, t.split())),
    ),
    complex: ("complex", repr, complex),
}
_FROM_TEXT: Final = {name: make for name, _, make in _TEXTS.values()}
_MANY: Final = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _lower(value: Any, depth: int) -> Any:
    cls = type(value)
    if cls in _PLAIN:
        return value
    if cls is int:
        return value if -(2**63) <= value < 2**64 else ["int", hex(value)]
    if depth > MOST_DEPTH:
        raise NotPortable("it is nested too deeply")
    if cls.__name__ in _MANY and _MANY[cls.__name__] is cls:
        return [cls.__name__, [_lower(item, depth + 1) for item in value]]
    if cls is dict:
        pairs = [(_lower(k, depth + 1), _lower(v, depth + 1)) for k, v in value.items()]
        return ["dict", pairs]
    if cls in _TEXTS:
        name, text, _ = _TEXTS[cls]
        return [name, text(value)]
    place = [cls.__module__, cls.__qualname__]
    if isinstance(value, enum.Enum):
        return ["enum", *place, value.name]
    if "<locals>" not in cls.__qualname__:
        names = _record_names(cls)
        if names is not None:
            return ["record", *place, [_lower(getattr(value, n), depth + 1) for n in names]]
    raise NotPortable(f"{cls.__qualname__} cannot travel without an annotation")


def _lift(value: Any, depth: int) -> Any:
    if depth > 2 * MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    if not isinstance(value, list):
        if isinstance(value, (*_PLAIN, int)):
            return value
        raise ValueError(f"{type(value).__name__} is not expected here")
    match value:
        case ["int", str(text)] if len(text) < 100_000:
            return int(text, 16)
        case [("list" | "tuple" | "set" | "frozenset") as name, [*items]]:
            return _MANY[name](_lift(item, depth + 1) for item in items)
        case ["dict", [*pairs]]:
            return {_lift(k, depth + 1): _lift(v, depth + 1) for k, v in pairs}
        case ["enum", str(module), str(name), str(member)]:
            cls = _find(module, name)
            if cls is None or not issubclass(cls, enum.Enum):
                raise ValueError(f"{module}.{name} is no enum here")
            return cls[member]
        case ["record", str(module), str(name), [*items]]:
            return _record(module, name, [_lift(item, depth + 1) for item in items])
        case [str(name), str(text)] if name in _FROM_TEXT:
            return _FROM_TEXT[name](text)
        case _:
            raise ValueError("it has an unknown form")


def _record_names(cls: type[Any]) -> list[str] | None:
    if dataclasses.is_dataclass(cls):
        return [f.name for f in dataclasses.fields(cls)]
    if issubclass(cls, msgspec.Struct):
        return list(cls.__struct_fields__)
    return None


def _record(module: str, name: str, values: list[Any]) -> Any:
    cls = _find(module, name)
    names = _record_names(cls) if cls is not None else None
    if cls is None or names is None or len(names) != len(values):
        raise ValueError(f"{module}.{name} is no record of {len(values)} fields here")
    made: Any = cls.__new__(cls)
    setter: Any = object.__setattr__
    if issubclass(cls, msgspec.Struct):
        setter = msgspec.structs.force_setattr
    for field, value in zip(names, values, strict=True):
        setter(made, field, value)
    return made


def _find(module: str, name: str) -> type[Any] | None:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None
