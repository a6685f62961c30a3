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
from collections.abc import Callable
from typing import Any, Final

import msgspec

from weaver.rpc.codec.filling import filled

MOST_DEPTH: Final = 50
_MOST_DIGITS: Final = 100_000


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


def _lower_timedelta(value: datetime.timedelta) -> str:
    return f"{value.days} {value.seconds} {value.microseconds}"


def _lift_timedelta(text: str) -> datetime.timedelta:
    return datetime.timedelta(*map(int, text.split()))


_PLAIN: Final = (type(None), bool, float, str, bytes)
_TEXTS: Final[dict[type[Any], tuple[str, Any, Any]]] = {
    decimal.Decimal: ("decimal", str, decimal.Decimal),
    uuid.UUID: ("uuid", str, uuid.UUID),
    datetime.datetime: ("datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.timedelta: ("timedelta", _lower_timedelta, _lift_timedelta),
    complex: ("complex", repr, complex),
}
_FROM_TEXT: Final = {name: make for name, _, make in _TEXTS.values()}
_MANY: Final[dict[str, Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _lower(value: Any, depth: int) -> Any:
    cls: Any = value.__class__
    if cls in _PLAIN:
        return value
    if cls is int:
        return value if -(2**63) <= value < 2**64 else ["int", hex(value)]
    if cls in _TEXTS:
        name, text, _ = _TEXTS[cls]
        return [name, text(value)]
    if isinstance(value, enum.Enum):
        return ["enum", cls.__module__, cls.__qualname__, value.name]
    if depth > MOST_DEPTH:
        raise NotPortable("it is nested too deeply")
    return _lower_whole(value, cls, depth + 1)


def _lower_whole(value: Any, cls: type[Any], depth: int) -> list[Any]:
    if _MANY.get(cls.__name__) is cls:
        return [cls.__name__, [_lower(item, depth) for item in value]]
    if cls is dict:
        return ["dict", [(_lower(k, depth), _lower(v, depth)) for k, v in value.items()]]
    names = _record_names(cls) if "<locals>" not in cls.__qualname__ else None
    if names is None:
        raise NotPortable(f"{cls.__qualname__} cannot travel without an annotation")
    values = [_lower(getattr(value, name), depth) for name in names]
    return ["record", cls.__module__, cls.__qualname__, values]


def _lift(value: Any, depth: int) -> Any:
    if depth > 2 * MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    if isinstance(value, (*_PLAIN, int)):
        return value
    build = None
    if isinstance(value, list) and value and isinstance(value[0], str):
        build = _BUILDERS.get(value[0])
    if build is None:
        raise ValueError("it has an unknown form")
    return build(depth + 1, *value)


def _integer(_depth: int, _name: str, text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text, 16)


def _from_text(_depth: int, name: str, text: str) -> Any:
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] # from the wire
        raise TypeError(f"{name} of {type(text).__name__}")
    return _FROM_TEXT[name](text)


def _many(depth: int, name: str, items: list[Any]) -> Any:
    return _MANY[name](_lift(item, depth) for item in items)


def _dict(depth: int, _name: str, pairs: list[Any]) -> dict[Any, Any]:
    return {_lift(key, depth): _lift(value, depth) for key, value in pairs}


def _enum(_depth: int, _name: str, module: str, name: str, member: str) -> Any:
    cls = _find(module, name)
    if cls is None or not issubclass(cls, enum.Enum):
        raise ValueError(f"{module}.{name} is no enum here")
    return cls[member]


def _record(depth: int, _name: str, module: str, name: str, items: list[Any]) -> Any:
    cls = _find(module, name)
    names = _record_names(cls) if cls is not None else None
    if cls is None or names is None or len(names) != len(items):
        raise ValueError(f"{module}.{name} is no record of {len(items)} fields here")
    return filled(cls, names, [_lift(item, depth) for item in items])


_BUILDERS: Final[dict[str, Callable[..., Any]]] = {
    "int": _integer,
    "dict": _dict,
    "enum": _enum,
    "record": _record,
    **dict.fromkeys(_MANY, _many),
    **dict.fromkeys(_FROM_TEXT, _from_text),
}


def _record_names(cls: type[Any]) -> list[str] | None:
    if dataclasses.is_dataclass(cls):
        return [f.name for f in dataclasses.fields(cls)]
    if issubclass(cls, msgspec.Struct):
        return list(cls.__struct_fields__)
    return None


def _find(module: str, name: str) -> type[Any] | None:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None
