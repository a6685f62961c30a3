"""Single values: those msgspec takes, and those that need another form to stay exact."""

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import typing
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

from weaver.rpc.codec.plan import Plan, Workshop

_NATIVE: Final[dict[Any, tuple[str, ...]]] = {
    None: ("nil",),
    type(None): ("nil",),
    bool: ("bool",),
    int: ("int",),
    float: ("float",),
    str: ("str",),
    bytes: ("str",),
    bytearray: ("str",),
    memoryview: ("str",),
}


def _aware(text: str) -> tuple[str, str]:
    moment, _, zone = text.partition("[")
    return moment, zone[:-1]


def _zone_suffix(zone: datetime.tzinfo | None) -> str:
    if zone is None or isinstance(zone, datetime.timezone):
        return ""
    key = getattr(zone, "key", None)
    if not isinstance(zone, zoneinfo.ZoneInfo) or not isinstance(key, str):
        raise TypeError(f"a time zone of class {type(zone).__name__} cannot travel")
    return f"[{key}]"


def _lower_datetime(value: datetime.datetime) -> str:
    fold = "!" if value.fold else ""
    return value.isoformat() + fold + _zone_suffix(value.tzinfo)


def _lift_datetime(text: str) -> datetime.datetime:
    moment, key = _aware(text)
    value = datetime.datetime.fromisoformat(moment.removesuffix("!"))
    if key:
        value = value.replace(tzinfo=zoneinfo.ZoneInfo(key))
    return value.replace(fold=1) if moment.endswith("!") else value


def _lower_time(value: datetime.time) -> str:
    fold = "!" if value.fold else ""
    if value.tzinfo is None:
        return value.isoformat() + fold
    suffix = _zone_suffix(value.tzinfo)
    bare = value.replace(tzinfo=None) if suffix else value
    return bare.isoformat() + fold + suffix


def _lift_time(text: str) -> datetime.time:
    moment, key = _aware(text)
    value = datetime.time.fromisoformat(moment.removesuffix("!"))
    if key:
        value = value.replace(tzinfo=zoneinfo.ZoneInfo(key))
    return value.replace(fold=1) if moment.endswith("!") else value


def _lower_timedelta(value: datetime.timedelta) -> tuple[int, int, int]:
    return value.days, value.seconds, value.microseconds


def _lift_timedelta(parts: tuple[int, int, int]) -> datetime.timedelta:
    return datetime.timedelta(*parts)


def _lower_timezone(value: datetime.timezone) -> tuple[int, str | None]:
    offset = value.utcoffset(None)
    name = value.tzname(None)
    micro = offset // datetime.timedelta(microseconds=1)
    return micro, None if name == datetime.timezone(offset).tzname(None) else name


def _lift_timezone(parts: tuple[int, str | None]) -> datetime.timezone:
    offset = datetime.timedelta(microseconds=parts[0])
    if parts[1] is None:
        return datetime.UTC if not parts[0] else datetime.timezone(offset)
    return datetime.timezone(offset, parts[1])


def _lower_zone(value: zoneinfo.ZoneInfo) -> str:
    key: Any = value.key
    if not isinstance(key, str):  # made from a file
        raise TypeError("a ZoneInfo without a key cannot travel")
    return key


def _lower_complex(value: complex) -> tuple[float, float]:
    return value.real, value.imag


def _lift_complex(parts: tuple[float, float]) -> complex:
    return complex(*parts)


Converted = tuple[Any, str, Callable[[Any], Any], Callable[[Any], Any]]

_CONVERTED: Final[dict[Any, Converted]] = {
    complex: (tuple[float, float], "array", _lower_complex, _lift_complex),
    decimal.Decimal: (str, "str", str, decimal.Decimal),
    datetime.datetime: (str, "str", _lower_datetime, _lift_datetime),
    datetime.date: (str, "str", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: (str, "str", _lower_time, _lift_time),
    datetime.timedelta: (tuple[int, int, int], "array", _lower_timedelta, _lift_timedelta),
    datetime.timezone: (tuple[int, str | None], "array", _lower_timezone, _lift_timezone),
    zoneinfo.ZoneInfo: (str, "str", _lower_zone, zoneinfo.ZoneInfo),
    uuid.UUID: (bytes, "str", lambda v: v.bytes, lambda v: uuid.UUID(bytes=v)),
}
for _cls in (
    ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
    ipaddress.IPv4Interface, ipaddress.IPv6Interface,
):  # fmt: skip
    _CONVERTED[_cls] = (str, "str", str, _cls)


def scalar_plan(annotation: Any, workshop: Workshop) -> Plan | None:
    """The plan of a single value's type, or None if it is something else."""
    kinds = _NATIVE.get(annotation) if _hashable(annotation) else None
    if kinds is not None:
        cls: Any = type(None) if annotation is None else annotation
        shown = "None" if cls is type(None) else cls.__name__
        return Plan(shown, cls, frozenset(kinds), (cls,), fault=_wrong_class(cls, shown))
    return _class_plan(annotation, workshop) if isinstance(annotation, type) else None


def _class_plan(annotation: Any, workshop: Workshop) -> Plan | None:
    if issubclass(annotation, enum.Enum):
        return _enum_plan(annotation, workshop)
    if issubclass(annotation, pathlib.PurePath):
        return _path_plan(annotation, workshop)
    converted = _CONVERTED.get(annotation)
    if converted is None:
        return None
    wire, kind, lower, lift = converted
    return converted_plan(annotation, wire, frozenset({kind}), (lower, lift), workshop)


def converted_plan(
    cls: type[Any],
    wire: Any,
    kinds: frozenset[str],
    functions: tuple[Callable[[Any], Any], Callable[[Any], Any]],
    workshop: Workshop,
) -> Plan:
    """A plan for values of exactly one class that a pair of functions converts."""
    lower, lift = (workshop.constant(function) for function in functions)
    exact, refuse = workshop.constant(cls), workshop.constant(refuse_class)
    return Plan(
        cls.__name__,
        wire,
        kinds,
        (cls,),
        lower=lambda v: f"({lower}({v}) if {v}.__class__ is {exact} else {refuse}({v}))",
        lift=lambda v: f"{lift}({v})",
        fault=_wrong_class(cls, cls.__name__),
    )


def refuse_class(value: Any) -> Any:
    """Ends a conversion; the reason is then looked for by `diagnose`."""
    raise TypeError(f"{type(value).__name__} is not what was declared")


def _enum_plan(cls: type[enum.Enum], workshop: Workshop) -> Plan:
    exact, refuse = workshop.constant(cls), workshop.constant(refuse_class)
    flag = issubclass(cls, enum.Flag)
    attribute = "_value_" if flag else "_name_"
    look_up = "{}({})" if flag else "{}[{}]"
    return Plan(
        cls.__name__,
        int if flag else str,
        frozenset({"int" if flag else "str"}),
        (cls,),
        lower=lambda v: f"({v}.{attribute} if isinstance({v}, {exact}) else {refuse}({v}))",
        lift=lambda v: look_up.format(exact, v),
        fault=lambda v: "" if isinstance(v, cls) else _instead(cls.__name__, v),
    )


def _path_plan(cls: type[pathlib.PurePath], workshop: Workshop) -> Plan:
    made: type[Any] = type(cls("."))
    return dataclasses.replace(
        converted_plan(made, str, frozenset({"str"}), (str, made), workshop), shown=cls.__name__
    )


def literal_plan(annotation: Any, workshop: Workshop) -> Plan | None:
    """The plan of a Literal, which travels as the number of its value, or None."""
    if typing.get_origin(annotation) is not typing.Literal:
        return None
    values: tuple[Any, ...] = typing.get_args(annotation)
    numbers: dict[tuple[type[Any], Any], int] = {(type(v), v): i for i, v in enumerate(values)}
    table, options = workshop.constant(numbers), workshop.constant(values)
    return Plan(
        f"Literal{list(values)!r}",
        int,
        frozenset({"int"}),
        tuple(dict.fromkeys(cls for cls, _ in numbers)),
        lower=lambda v: f"{table}[{v}.__class__, {v}]",
        lift=lambda v: f"{options}[{v} if {v} >= 0 else {len(values)}]",
        fault=lambda v: "" if (type(v), v) in numbers else f"{v!r} is not one of {values!r}",
    )


def _wrong_class(cls: type[Any], shown: str) -> Callable[[Any], str]:
    accepted = (cls, int) if cls is float else (cls,)

    def fault(value: Any) -> str:
        if type(value) in accepted or (
            isinstance(value, accepted) and isinstance(value, enum.Enum)
        ):
            return ""
        if isinstance(value, accepted) and not isinstance(value, bool):
            name = type(value).__name__
            return f"is `{name}`, a subclass of `{shown}` that the annotation does not name"
        return _instead(shown, value)

    return fault


def _instead(shown: str, value: Any) -> str:
    return f"is `{type(value).__name__}`, expected `{shown}`"


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
