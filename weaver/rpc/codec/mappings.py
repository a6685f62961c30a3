"""Mappings: dict and its relatives; keys that msgspec does not take travel in a list of pairs."""

import collections
import collections.abc
import dataclasses
from collections.abc import Iterable
from typing import Any, Final

from weaver.rpc.codec.plan import Parts, Plan, Workshop, converted, not_a
from weaver.rpc.codec.shapes import mapping_shape

_KEYS_AS_THEY_ARE: Final = (str, int, bytes, float, bool)
_FACTORIES: Final[dict[str, Any]] = {
    f.__name__: f for f in (int, float, str, bool, bytes, list, dict, set, tuple, complex)
}


def mapping_plan(cls: type[Any], key: Plan, value: Plan, workshop: Workshop) -> Plan:
    """The plan of a dict, OrderedDict or Counter."""
    shown = f"{cls.__name__}[{key.shown}, {value.shown}]"
    generic: Any = dict
    plan = Plan(
        shown,
        generic[key.wire, value.wire],
        frozenset({"map"}),
        (cls,),
        fault=not_a(shown, (dict, collections.abc.Mapping)),
        parts=_pair_parts(key, value),
        inner=lambda place: ("[…]", value) if place == "..." else (".<key>", key),
        records=key.records + value.records,
    )
    as_is = key.native and key.wire in _KEYS_AS_THEY_ARE
    if as_is and cls is dict:
        plan = dataclasses.replace(plan, shape=mapping_shape(key.wire, value.shaped))
        if value.native:
            return plan
    return _converting(plan, cls, (key, value), workshop, pairs=not as_is)


def _pair_parts(key: Plan, value: Plan) -> Parts:
    def parts(mapping: Any) -> Iterable[tuple[str, Plan, Any]]:
        for name, part in mapping.items():
            yield (".<key>", key, name)
            yield (f"[{name!r}]", value, part)

    return parts


def _converting(
    plan: Plan, cls: type[Any], inner: tuple[Plan, Plan], workshop: Workshop, *, pairs: bool
) -> Plan:
    """The same mapping, converted on both sides; as a list of pairs, or as a map."""
    key, value = inner
    k, x = workshop.variable(), workshop.variable()
    lower_k, lower_x = converted(key.lower, k), converted(value.lower, x)
    lift_k, lift_x = converted(key.lift, k), converted(value.lift, x)
    if pairs:
        lowered = f"[({lower_k}, {lower_x}) for {k}, {x} in %s.items()]"
        lifted = f"{{{lift_k}: {lift_x} for {k}, {x} in %s}}"
        row: Any = tuple
        rows: Any = list
        plan = dataclasses.replace(
            plan, wire=rows[row[key.wire, value.wire]], kinds=frozenset({"array"})
        )
    else:
        lowered = f"{{{lower_k}: {lower_x} for {k}, {x} in %s.items()}}"
        lifted = f"{{{lift_k}: {lift_x} for {k}, {x} in %s.items()}}"
    if cls is not dict:
        lifted = f"{workshop.constant(cls)}({lifted})"
    return plan.converting(lambda v: lowered % v, lambda v: lifted % v)


def defaultdict_plan(plan: Plan, workshop: Workshop) -> Plan:
    """The plan of a defaultdict, from that of its items as a dict; its factory travels by name."""
    name = workshop.constant(factory_name)
    make = workshop.constant(make_defaultdict)
    y = workshop.variable()
    pair: Any = tuple
    lower, lift = plan.lower, plan.lift

    def fault(value: Any) -> str:
        if not isinstance(value, collections.defaultdict):
            return f"is `{type(value).__name__}`, expected `defaultdict`"
        try:
            factory_name(value)
        except TypeError as error:
            return str(error)
        return ""

    return Plan(
        plan.shown.replace("dict", "defaultdict", 1),
        pair[str | None, plan.wire],
        frozenset({"array"}),
        (collections.defaultdict,),
        lower=lambda v: f"({name}({v}), {converted(lower, v)})",
        lift=lambda v: f"[{make}({v}[0], {converted(lift, y)}) for {y} in ({v}[1],)][0]",
        fault=fault,
        parts=plan.parts,
        records=plan.records,
    )


def factory_name(value: Any) -> str | None:
    """The name under which the factory of a defaultdict travels. Raises TypeError."""
    factory = value.default_factory
    if factory is None:
        return None
    name = getattr(factory, "__name__", "")
    if _FACTORIES.get(name) is not factory:
        raise TypeError(
            f"has the default factory {factory!r}, which cannot travel; builtin types can"
        )
    return str(name)


def make_defaultdict(name: str | None, items: Any) -> Any:
    """A defaultdict whose factory has this name. Raises KeyError for one that does not travel."""
    return collections.defaultdict(_FACTORIES[name] if name is not None else None, items)
