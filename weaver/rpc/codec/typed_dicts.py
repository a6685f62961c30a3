"""TypedDict: a dict that keeps its keys on the wire, because some may be absent."""

import typing
from collections.abc import Callable
from typing import Any

from weaver.rpc.codec.plan import Build, Parts, Plan, Workshop, plan_within

Convert = Callable[[Any], Any]


def typed_dict_plan(cls: Any, workshop: Workshop, build: Build) -> Plan:
    """The plan of a TypedDict class. Raises Unsupported for a value that cannot travel."""
    plans = {
        name: plan_within(f'{cls.__name__}["{name}"]', type_, build)
        for name, type_ in typing.get_type_hints(cls).items()
    }
    lower = _convert({name: workshop.lowering(plan) for name, plan in plans.items()})
    lift = _convert({name: workshop.lifting(plan) for name, plan in plans.items()})
    lowering, lifting = workshop.constant(lower), workshop.constant(lift)
    return Plan(
        cls.__name__,
        _wire(cls, plans),
        frozenset({"map"}),
        (dict,),
        lower=lambda v: f"{lowering}({v})",
        lift=lambda v: f"{lifting}({v})",
        fault=_key_fault(cls, plans.keys()),
        parts=_key_parts(plans),
        inner=lambda place: (f".{place}", plans[place]),
    )


def _wire(cls: Any, plans: dict[str, Plan]) -> Any:
    make: Any = typing.TypedDict
    return make(
        cls.__name__,
        {
            name: plan.wire if name in cls.__required_keys__ else typing.NotRequired[plan.wire]
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


def _key_fault(cls: Any, known: typing.AbstractSet[str]) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        if not isinstance(value, dict):
            return f"is `{type(value).__name__}`, expected `{cls.__name__}`"
        given: set[Any] = set(value)  # pyright: ignore[reportUnknownArgumentType]
        missing = sorted(cls.__required_keys__ - given)
        unknown = sorted(map(str, given - known))
        if missing:
            return f"lacks the key `{missing[0]}` of `{cls.__name__}`"
        return f"has the key `{unknown[0]}`, which `{cls.__name__}` does not" if unknown else ""

    return fault


def _key_parts(plans: dict[str, Plan]) -> Parts:
    return lambda value: (
        (f"[{name!r}]", plans[name], part) for name, part in value.items() if name in plans
    )
