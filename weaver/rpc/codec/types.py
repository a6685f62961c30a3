"""From an annotation to its plan: which types can travel, and why the others cannot."""

import collections.abc
import typing
from typing import Any, Final

from weaver.component.registry import declaration_of
from weaver.component.values import Listener, Secret
from weaver.rpc.codec.containers import container_plan
from weaver.rpc.codec.generics import substituted
from weaver.rpc.codec.models import model_plan
from weaver.rpc.codec.plan import Plan, Unsupported, Workshop
from weaver.rpc.codec.records import record_plan
from weaver.rpc.codec.registered import registered_plan
from weaver.rpc.codec.scalars import literal_plan, scalar_plan
from weaver.rpc.codec.typed_dicts import typed_dict_plan
from weaver.rpc.codec.unions import union_plan

_STREAMS: Final = (
    collections.abc.Iterator, collections.abc.Generator, collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator, collections.abc.AsyncIterable, collections.abc.Iterable,
)  # fmt: skip
_AWAITED: Final = (collections.abc.Coroutine, collections.abc.Awaitable)


_LOCKS: Final = {
    "allocate_lock": "threading.Lock", "lock": "threading.Lock", "RLock": "threading.RLock",
}  # fmt: skip
_CALLABLE: Final = typing.get_origin(collections.abc.Callable[[], None])


def plan_of(annotation: Any, workshop: Workshop, aliases: tuple[Any, ...] = ()) -> Plan:
    """The plan of a type. Raises Unsupported with the reason and the fix.

    `aliases` are those that it was found in, with no record in between.
    """
    annotation, aliases = _bare(annotation, aliases)

    def build(inner: Any) -> Plan:
        return plan_of(inner, workshop, aliases)

    def build_field(inner: Any) -> Plan:  # a record ends a recursion
        return plan_of(inner, workshop)

    _refuse_parts(annotation)
    plan = (
        registered_plan(annotation, workshop, build)
        or literal_plan(annotation, workshop)
        or union_plan(annotation, workshop, build)
        or scalar_plan(annotation, workshop)
        or container_plan(annotation, workshop, build)
        or typed_dict_plan(annotation, workshop, build_field)
        or model_plan(annotation, workshop, build_field)
        or record_plan(annotation, workshop, build_field)
    )
    if plan is None:
        raise _refusal(annotation)
    return plan


def _bare(annotation: Any, aliases: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Without NewType, Annotated, Required and aliases, which say nothing about the wire."""
    while True:
        origin = typing.get_origin(annotation)
        if origin in (typing.Annotated, typing.Required, typing.NotRequired):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif _is_alias(annotation) or _is_alias(origin):
            if annotation in aliases:
                raise Unsupported(
                    f"the alias `{annotation}` contains itself",
                    "make it a dataclass: records may contain themselves, directly or in others",
                )
            aliases = (*aliases, annotation)
            annotation = _meaning(annotation)
        else:
            return annotation, aliases


def _is_alias(annotation: Any) -> bool:
    return type(annotation).__name__ == "TypeAliasType"


def _meaning(alias: Any) -> Any:
    """What an alias stands for, with the arguments of a generic one put in."""
    generic: Any = typing.get_origin(alias) or alias
    given = dict(zip(generic.__type_params__, typing.get_args(alias), strict=False))
    return substituted(generic.__value__, given)


def _refuse_parts(annotation: Any) -> None:
    """Refuse what looks like a record, or like a part of a tuple, and is none. Raises Unsupported.

    A component is a dataclass for its users, and belongs to the runtime all the same.
    """
    origin: Any = typing.get_origin(annotation) or annotation
    if isinstance(origin, type) and declaration_of(origin) is not None:
        raise _refusal(annotation)
    if getattr(annotation, "__unpacked__", False) or origin is typing.Unpack:
        raise Unsupported(
            f"`{annotation}` stands for any number of items within a tuple",
            "write `tuple[Item, ...]`, or a tuple of fixed length that ends with a list",
        )


def _refusal(annotation: Any) -> Unsupported:
    shown = _shown(annotation)
    origin: Any = typing.get_origin(annotation) or annotation
    found = _no_type(annotation, shown) or _no_value(origin, shown) or _no_codec(origin, shown)
    return Unsupported(*found)


def _shown(annotation: Any) -> str:
    """An annotation as its user writes it: a lock's own name differs from Python to Python."""
    name: str = getattr(annotation, "__qualname__", None) or repr(annotation)
    if getattr(annotation, "__module__", "") in ("_thread", "threading"):
        return _LOCKS.get(name, name)
    return name.removeprefix("typing.")


def _no_codec(origin: Any, shown: str) -> tuple[str, str]:
    name = _shown(origin)
    return (
        f"`{shown}` has no codec: its state may belong to this process",
        (
            "pass the data it is made of (a dataclass, say), or register "
            f"weaver.codec({name}, to_wire, from_wire)"
        ),
    )


def _no_type(annotation: Any, shown: str) -> tuple[str, str] | None:
    """The reason and the fix for an annotation that does not say what the value is."""
    if annotation in (Any, object):
        return (
            f"`{shown}` does not say what the value is, so its type would be lost",
            "write the type, or a union of the types it may be",
        )
    if isinstance(annotation, typing.TypeVar):
        return (
            f"the type variable {annotation} stands for no type here",
            "write the type; a component method cannot be generic",
        )
    special: Any = typing
    if annotation is special.Self:
        return "`Self` is no type of its own", "write the name of the class, in quotes"
    if isinstance(annotation, typing.ForwardRef):
        return (
            f'"{annotation.__forward_arg__}" is in quotes inside an alias, and not looked up',
            "write it without quotes; where it contains itself, make it a dataclass",
        )
    if not callable(annotation) and typing.get_origin(annotation) is None:
        return f"`{shown}` is no type", "write the type that the values have"
    return None


def _no_value(origin: Any, shown: str) -> tuple[str, str] | None:
    """The reason and the fix for what is no data: behaviour, or a part of this process."""
    if origin is _CALLABLE or origin is getattr(typing, "Callable", None):
        return (
            "a callable lives in one process",
            "pass data, and let the callee have the function",
        )
    if origin in _STREAMS:
        return (
            f"`{shown}` yields its items in one process only",
            "pass a list, or make the method an async generator: `-> AsyncIterator[Item]`",
        )
    if origin in _AWAITED:
        return (
            f"`{shown}` can be awaited in one process only",
            "write the type of what it gives; `async def` makes a method awaitable",
        )
    if isinstance(origin, type) and issubclass(origin, BaseException):
        return (
            "an exception travels when it is raised, not as a value",
            "raise it, or pass its message and fields",
        )
    if origin is Secret or origin is Listener or declaration_of(origin) is not None:
        return (
            f"`{shown}` belongs to one component and cannot be handed to another",
            "let the other component ask for it in a field of its own",
        )
    return None
