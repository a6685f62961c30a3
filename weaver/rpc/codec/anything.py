"""Values without an annotation, such as the fields of an exception: bytes that say what they are.

Single values and registered classes travel by the codec of their class. The receiver builds plain
data, and instances of record, enum and registered classes that it has imported; it imports nothing
and runs no code of the wire.
"""

import collections
import datetime
import decimal
import enum
import functools
import ipaddress
import pathlib
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

import msgspec

from weaver.rpc.codec.mappings import factory_name, make_defaultdict
from weaver.rpc.codec.registered import is_registered
from weaver.rpc.codec.unannotated import built_record, record_values
from weaver.rpc.codec.values import ValueCodec

MOST_DEPTH: Final = 50
_MOST_DIGITS: Final = 100_000


class NotPortable(Exception):  # a finding, not an error of anybody
    """A value that cannot travel without an annotation."""


def encode_anything(value: Any) -> bytes:
    """The bytes of a value. Raises NotPortable."""
    try:
        return msgspec.msgpack.encode(_lower(value, 0))
    except NotPortable:
        raise
    except Exception as error:  # noqa: BLE001 # whatever the value does when it is read
        raise NotPortable(f"{type(error).__name__}: {error}") from None


def decode_anything(data: bytes) -> Any:
    """The value of some bytes. Raises ValueError or TypeError for bytes that are none."""
    return _lift(msgspec.msgpack.decode(data), 0)


_PLAIN: Final = (type(None), bool, float, str, bytes)
_CLASSES: Final[tuple[Any, ...]] = (
    bytearray, memoryview, complex, decimal.Decimal, uuid.UUID, zoneinfo.ZoneInfo,
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
    ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network,
    ipaddress.IPv6Network, ipaddress.IPv4Interface, ipaddress.IPv6Interface,
    type(pathlib.Path()), pathlib.PurePosixPath, pathlib.PureWindowsPath,
)  # fmt: skip
_SINGLES: Final[dict[str, type[Any]]] = {cls.__name__: cls for cls in _CLASSES}
_MANY: Final[dict[str, Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_PAIRS: Final[dict[str, Any]] = {
    "dict": dict,
    "OrderedDict": collections.OrderedDict,
    "Counter": collections.Counter,
}


@functools.cache
def _single(name: str) -> ValueCodec:
    return ValueCodec(_SINGLES[name], name)


def _lower(value: Any, depth: int) -> Any:
    cls: Any = value.__class__
    if cls in _PLAIN:
        return value
    if cls is int:
        return value if -(2**63) <= value < 2**64 else ["int", hex(value)]
    if cls in _CLASSES:
        return ["single", cls.__name__, _single(cls.__name__).encode(value)]
    if isinstance(value, enum.Enum):
        member: Any = value
        if isinstance(value, enum.Flag):
            return ["flag", cls.__module__, cls.__qualname__, _lower(member.value, depth)]
        return ["enum", cls.__module__, cls.__qualname__, member.name]
    if depth > MOST_DEPTH:
        raise NotPortable("it is nested too deeply")
    return _lower_whole(value, cls, depth + 1)


def _lower_whole(value: Any, cls: type[Any], depth: int) -> list[Any]:
    if _MANY.get(cls.__name__) is cls:
        return [cls.__name__, [_lower(item, depth) for item in value]]
    if cls is collections.deque:
        return ["deque", [_lower(item, depth) for item in value], value.maxlen]
    pairs = _PAIRS.get(cls.__name__) is cls or cls is collections.defaultdict
    if pairs:
        rows = [(_lower(k, depth), _lower(v, depth)) for k, v in value.items()]
        more = [factory_name(value)] if cls is collections.defaultdict else []
        return [cls.__name__, rows, *more]
    if _find(cls.__module__, cls.__qualname__) is not cls:
        raise NotPortable(f"{cls.__qualname__} is not found by its name")
    if is_registered(cls):
        body = ValueCodec(cls, cls.__name__).encode(value)
        return ["registered", cls.__module__, cls.__qualname__, body]
    values = record_values(value)
    if values is None:
        raise NotPortable(f"{cls.__qualname__} cannot travel without an annotation")
    lowered = [_lower(part, depth) for part in values]
    return ["record", cls.__module__, cls.__qualname__, lowered]


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


def _from_single(_depth: int, _name: str, name: str, body: bytes) -> Any:
    if name not in _SINGLES:
        raise ValueError(f"{name} is no single value")
    return _single(name).decode(body)


def _many(depth: int, name: str, items: list[Any]) -> Any:
    return _MANY[name](_lift(item, depth) for item in items)


def _deque(depth: int, _name: str, items: list[Any], most: int | None) -> Any:
    return collections.deque([_lift(item, depth) for item in items], most)


def _mapping(depth: int, name: str, pairs: list[Any]) -> Any:
    return _PAIRS[name]({_lift(key, depth): _lift(value, depth) for key, value in pairs})


def _defaultdict(depth: int, _name: str, pairs: list[Any], factory: str | None) -> Any:
    return make_defaultdict(factory, _mapping(depth, "dict", pairs))


def _enum(_depth: int, _name: str, module: str, name: str, member: str) -> Any:
    return _enum_class(module, name, enum.Enum)[member]


def _flag(depth: int, _name: str, module: str, name: str, value: Any) -> Any:
    return _enum_class(module, name, enum.Flag)(_lift(value, depth))


def _enum_class(module: str, name: str, base: type[enum.Enum]) -> Any:
    cls = _find(module, name)
    if cls is None or not issubclass(cls, base):
        raise ValueError(f"{module}.{name} is no enum here")
    return cls


def _registered(_depth: int, _name: str, module: str, name: str, body: bytes) -> Any:
    cls = _find(module, name)
    if cls is None or not is_registered(cls):
        raise ValueError(f"{module}.{name} has no codec here")
    return ValueCodec(cls, name).decode(body)


def _record(depth: int, _name: str, module: str, name: str, items: list[Any]) -> Any:
    cls = _find(module, name)
    if cls is None:
        raise ValueError(f"{module}.{name} is no class here")
    return built_record(cls, [_lift(item, depth) for item in items])


_BUILDERS: Final[dict[str, Callable[..., Any]]] = {
    "int": _integer,
    "single": _from_single,
    "deque": _deque,
    "defaultdict": _defaultdict,
    "enum": _enum,
    "flag": _flag,
    "registered": _registered,
    "record": _record,
    **dict.fromkeys(_MANY, _many),
    **dict.fromkeys(_PAIRS, _mapping),
}


def _find(module: str, name: str) -> type[Any] | None:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None
