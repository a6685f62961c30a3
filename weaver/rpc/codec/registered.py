"""Types with a codec of the application's own: `weaver.codec(T, to_wire, from_wire)`."""

import inspect
import typing
from collections.abc import Callable
from typing import Any, Final, TypeVar

from weaver.errors import UsageError
from weaver.rpc.codec.plan import Plan, Workshop
from weaver.rpc.codec.scalars import converted_plan

T = TypeVar("T")
W = TypeVar("W")

_registered: Final[dict[type[Any], tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]]] = {}


def register(
    type_: type[T], to_wire: Callable[[T], W], from_wire: Callable[[W], T], wire: Any = None
) -> None:
    """Let values of exactly this class travel: `to_wire` gives data, `from_wire` builds from it.

    The type of the data is the result annotation of `to_wire`, else the parameter annotation of
    `from_wire`, else `wire`. Raises UsageError when none of them says it.
    """
    wire = wire or _annotated(to_wire, from_wire)
    if wire is None and to_wire in (str, bytes, int, float):
        wire = to_wire
    if wire is None:
        raise UsageError(
            f"weaver.codec({type_.__name__}, …): nothing says what to_wire returns",
            why="values travel without type names, so both ends must know",
            fix="annotate the result of to_wire, for example `-> str`",
        )
    _registered[type_] = (wire, to_wire, from_wire)


def is_registered(type_: type[Any]) -> bool:
    """Whether values of exactly this class have a codec of the application's own."""
    return type_ in _registered


def registered_plan(
    annotation: Any, workshop: Workshop, build: Callable[[Any], Plan]
) -> Plan | None:
    """The plan of a registered class, or None."""
    found = _registered.get(annotation) if isinstance(annotation, type) else None
    if found is None:
        return None
    wire, to_wire, from_wire = found
    inner = build(wire)
    lower, lift = workshop.lowering(inner), workshop.lifting(inner)

    def down(value: Any) -> Any:
        data = to_wire(value)
        return data if lower is None else lower(data)

    def up(data: Any) -> Any:
        return from_wire(data if lift is None else lift(data))

    return converted_plan(annotation, inner.wire, inner.kinds, (down, up), workshop)


def _annotated(to_wire: Callable[..., Any], from_wire: Callable[..., Any]) -> Any:
    for function, name in ((to_wire, "return"), (from_wire, None)):
        try:
            hints = typing.get_type_hints(function)
            names = [name] if name else list(inspect.signature(function).parameters)[:1]
        except (TypeError, ValueError, NameError):
            continue
        for wanted in names:
            if wanted in hints:
                return hints[wanted]
    return None
