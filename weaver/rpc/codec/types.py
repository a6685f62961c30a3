"""From an annotation to its plan: which types can travel, and why the others cannot."""

import collections.abc
import typing
from typing import Any, Final

from weaver.component.registry import declaration_of
from weaver.component.values import Listener, Secret
from weaver.rpc.codec.containers import container_plan
from weaver.rpc.codec.plan import Plan, Unsupported, Workshop
from weaver.rpc.codec.records import record_plan
from weaver.rpc.codec.registered import registered_plan
from weaver.rpc.codec.scalars import literal_plan, scalar_plan
from weaver.rpc.codec.unions import is_union, union_plan

_STREAMS: Final = (
    collections.abc.Iterator, collections.abc.Generator, collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator, collections.abc.AsyncIterable, collections.abc.Iterable,
    collections.abc.Coroutine, collections.abc.Awaitable,
)  # fmt: skip


def plan_of(annotation: Any, workshop: Workshop) -> Plan:
    """The plan of a type. Raises Unsupported with the reason and the fix."""

    def build(inner: Any) -> Plan:
        return plan_of(inner, workshop)

    annotation = _bare(annotation)
    registered = registered_plan(annotation, workshop, build)
    if registered is not None:
        return registered
    if typing.get_origin(annotation) is typing.Literal:
        return literal_plan(annotation, workshop)
    if is_union(annotation):
        return union_plan(annotation, workshop, build)
    for kind in (scalar_plan,):
        plan = kind(annotation, workshop)
        if plan is not None:
            return plan
    for kind_of in (container_plan, record_plan):
        plan = kind_of(annotation, workshop, build)
        if plan is not None:
            return plan
    raise _refusal(annotation)


def _bare(annotation: Any) -> Any:
    """Without NewType, Annotated, Required and aliases, which say nothing about the wire."""
    while True:
        origin = typing.get_origin(annotation)
        if origin in (typing.Annotated, typing.Required, typing.NotRequired):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def _refusal(annotation: Any) -> Unsupported:
    shown = getattr(annotation, "__qualname__", None) or repr(annotation).removeprefix("typing.")
    origin = typing.get_origin(annotation) or annotation
    if annotation in (Any, object):
        return Unsupported(
            f"`{shown}` does not say what the value is, so its type would be lost",
            "write the type, or a union of the types it may be",
        )
    if origin is collections.abc.Callable or origin is typing.Callable:
        return Unsupported(
            "a callable lives in one process", "pass data, and let the callee have the function"
        )
    if origin in _STREAMS:
        return Unsupported(
            f"`{shown}` yields its items in one process only",
            "pass a list, or make the method an async generator: `-> AsyncIterator[Item]`",
        )
    if isinstance(annotation, typing.TypeVar):
        return Unsupported(
            f"the type variable {annotation} stands for no type here",
            "write the type; a component method cannot be generic",
        )
    if isinstance(origin, type) and issubclass(origin, BaseException):
        return Unsupported(
            "an exception travels when it is raised, not as a value",
            "raise it, or pass its message and fields",
        )
    if origin is Secret or origin is Listener or declaration_of(origin) is not None:
        return Unsupported(
            f"`{shown}` belongs to one component and cannot be handed to another",
            "let the other component ask for it in a field of its own",
        )
    return Unsupported(
        f"`{shown}` has no codec: its state may belong to this process",
        f"pass the data it is made of (a dataclass, say), or register "
        f"weaver.codec({getattr(origin, '__name__', shown)}, to_wire, from_wire)",
    )
