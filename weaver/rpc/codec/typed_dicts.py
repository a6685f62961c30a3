"""TypedDict: a dict that keeps its keys on the wire, because some may be absent.

Which are required is read from resolved annotations: before them, Python cannot tell.
"""

import typing
from collections.abc import Callable
from typing import Any

from weaver.rpc.codec.fields import resolved_types
from weaver.rpc.codec.plan import Build, Parts, Plan, Workshop, plan_within
from weaver.rpc.codec.recursion import knotted

Convert = Callable[[Any], Any]


def typed_dict_plan(annotation: Any, workshop: Workshop, build: Build) -> Plan | None:
    """The plan of a TypedDict class, or None for another type.

    Raises Unsupported for a value that cannot travel.
    """
    cls: Any = typing.get_origin(annotation) or annotation
    if not isinstance(cls, type) or type(cls).__name__ != "_TypedDictMeta":
        return None  # typing.is_typeddict knows only its own
    return knotted(
        annotation,
        workshop,
        lambda: _outer(cls, annotation, workshop, build),
        cls.__name__,
        (dict,),
    )


def _outer(cls: Any, annotation: Any, workshop: Workshop, build: Build) -> Plan:
    types = resolved_types(annotation)
    plans = {
        name: plan_within(f'{cls.__name__}["{name}"]', type_, build)
        for name, type_ in types.items()
    }
    required = {name for name, type_ in types.items() if _is_required(cls, name, type_)}
    lower = _convert({name: workshop.lowering(plan) for name, plan in plans.items()})
    lift = _convert({name: workshop.lifting(plan) for name, plan in plans.items()})
    lowering, lifting = workshop.constant(lower), workshop.constant(lift)
    return Plan(
        cls.__name__,
        _wire(cls, plans, required),
        frozenset({"map"}),
        (dict,),
        lower=lambda v: f"{lowering}({v})",
        lift=lambda v: f"{lifting}({v})",
        fault=_key_fault(cls, plans.keys(), required),
        parts=_key_parts(plans),
        inner=lambda place: (f".{place}", plans[place]),
        records=tuple(r for plan in plans.values() for r in plan.records),
    )


def _is_required(cls: Any, name: str, type_: Any) -> bool:
    while typing.get_origin(type_) is typing.Annotated:
        type_ = typing.get_args(type_)[0]
    if typing.get_origin(type_) in (typing.Required, typing.NotRequired):
        return typing.get_origin(type_) is typing.Required
    return name in cls.__required_keys__


def _wire(cls: Any, plans: dict[str, Plan], required: set[str]) -> Any:
    make: Any = typing.TypedDict
    return make(
        cls.__name__,
        {
            name: plan.wire if name in required else typing.NotRequired[plan.wire]
            for name, plan in plans.items()
        },
    )


def _convert(functions: dict[str, Convert | None]) -> Convert:
    def convert(value: dict[str, Any]) -> dict[str, Any]:
        unknown = value.keys() - functions.keys()
        if unknown:
            raise TypeError(f"unknown key {min(unknown)!r}")
        out: dict[str, Any] = {}
        for name, part in value.items():
            function = functions[name]
            out[name] = part if function is None else function(part)
        return out

    return convert


def _key_fault(
    cls: Any, known: typing.AbstractSet[str], required: set[str]
) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        if not isinstance(value, dict):
            return f"is `{type(value).__name__}`, expected `{cls.__name__}`"
        given: set[Any] = set(value)  # pyright: ignore[reportUnknownArgumentType]
        missing = sorted(required - given)
        unknown = sorted(map(str, given - known))
        if missing:
            return f"lacks the key `{missing[0]}` of `{cls.__name__}`"
        return f"has the key `{unknown[0]}`, which `{cls.__name__}` does not" if unknown else ""

    return fault


def _key_parts(plans: dict[str, Plan]) -> Parts:
    return lambda value: (
        (f"[{name!r}]", plans[name], part) for name, part in value.items() if name in plans
    )
