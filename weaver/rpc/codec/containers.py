"""Containers: lists, tuples, sets, mappings and their relatives from `collections`."""

import collections
import collections.abc
import dataclasses
import typing
from collections.abc import Callable, Iterable
from typing import Any, Final

from weaver.rpc.codec.plan import Plan, Unsupported, Workshop
from weaver.rpc.codec.scalars import refuse_class

Build = Callable[[Any], Plan]

_LISTS: Final = (list, collections.abc.Sequence, collections.abc.MutableSequence)
_SETS: Final = (set, collections.abc.Set, collections.abc.MutableSet)
_MAPS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_OTHERS: Final = (
    frozenset, collections.deque, collections.defaultdict, collections.OrderedDict,
    collections.Counter, tuple,
)  # fmt: skip
_KEYS_AS_THEY_ARE: Final = (str, int, bytes, float, bool)
_FACTORIES: Final[dict[str, Any]] = {
    f.__name__: f for f in (int, float, str, bool, bytes, list, dict, set, tuple, complex)
}


def container_plan(annotation: Any, workshop: Workshop, build: Build) -> Plan | None:
    """The plan of a container type, or None if it is something else."""
    origin = typing.get_origin(annotation) or annotation
    if origin not in (*_LISTS, *_SETS, *_MAPS, *_OTHERS):
        return None
    args = typing.get_args(annotation)
    if not args and annotation != tuple[()]:
        name = getattr(annotation, "__name__", repr(annotation))
        raise Unsupported(
            f"`{name}` does not say what it contains, so the types inside would be lost",
            f"write `{name.lower()}[...]` with the types of its contents",
        )
    if origin is tuple:
        return _tuple(args, workshop, build)
    if origin in _LISTS:
        return _many(list, "list", build(args[0]), workshop)
    if origin in _SETS or origin is frozenset:
        cls = frozenset if origin is frozenset else set
        return _many(cls, cls.__name__, build(args[0]), workshop)
    if origin is collections.deque:
        return _deque(build(args[0]), workshop)
    if origin is collections.Counter:
        return _mapping(collections.Counter, build(args[0]), build(int), workshop)
    key, value = build(args[0]), build(args[1])
    if origin is collections.defaultdict:
        return _defaultdict(_mapping(dict, key, value, workshop), workshop)
    if origin is collections.OrderedDict:
        return _mapping(collections.OrderedDict, key, value, workshop)
    return _mapping(dict, key, value, workshop)


def _converted(source: Any, variable: str) -> str:
    return variable if source is None else source(variable)


def _not_a(shown: str, accepted: tuple[type[Any], ...]) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        if isinstance(value, accepted):
            return ""
        return f"is `{type(value).__name__}`, expected `{shown}`"

    return fault


def _many(cls: type[Any], shown: str, item: Plan, workshop: Workshop) -> Plan:
    x = workshop.variable()
    generic: Any = cls
    accepted: tuple[type[Any], ...] = (list, tuple) if cls is list else (set, frozenset)
    plan = Plan(
        f"{shown}[{item.shown}]",
        generic[item.wire],
        frozenset({"array"}),
        (cls,),
        fault=_not_a(f"{shown}[{item.shown}]", accepted),
        parts=lambda v: ((f"[{i}]", item, part) for i, part in enumerate(v)),
        inner=lambda token: (f"[{token}]", item),
        records=item.records,
    )
    if item.native:
        return plan
    ordered: Any = list
    opening, closing = {list: "[]", set: "{}"}.get(cls, ("frozenset([", "])"))
    lower, lift = item.lower, item.lift
    return dataclasses.replace(
        plan,
        wire=ordered[item.wire],
        lower=lambda v: f"[{_converted(lower, x)} for {x} in {v}]",
        lift=lambda v: f"{opening}{_converted(lift, x)} for {x} in {v}{closing}",
    )


def _tuple(args: tuple[Any, ...], workshop: Workshop, build: Build) -> Plan:
    if len(args) == 2 and args[1] is Ellipsis:
        item = build(args[0])
        plan = _many(list, "tuple", item, workshop)
        wire: Any = tuple[item.wire, ...]
        shown = f"tuple[{item.shown}, ...]"
        fault = _not_a(shown, (tuple, list))
        plan = dataclasses.replace(plan, shown=shown, classes=(tuple,), wire=wire, fault=fault)
        if item.native:
            return plan
        x, lift = workshop.variable(), item.lift
        return dataclasses.replace(
            plan, lift=lambda v: f"tuple([{_converted(lift, x)} for {x} in {v}])"
        )
    plans = [build(arg) for arg in args]
    shown = f"tuple[{', '.join(p.shown for p in plans)}]"
    wires = tuple(p.wire for p in plans)
    wire = tuple[wires] if wires else tuple[()]  # type: ignore[valid-type]

    def fault_of(value: Any) -> str:
        found = _not_a(shown, (tuple, list))(value)
        if not found and len(value) != len(plans):
            return f"has {len(value)} items, expected {len(plans)} for `{shown}`"
        return found

    plan = Plan(
        shown,
        wire,
        frozenset({"array"}),
        (tuple,),
        fault=fault_of,
        parts=lambda v: (
            (f"[{i}]", p, part) for i, (p, part) in enumerate(zip(plans, v, strict=False))
        ),
        inner=lambda token: (f"[{token}]", plans[int(token)]),
        records=tuple(r for p in plans for r in p.records),
    )
    if all(p.native for p in plans):
        return plan
    names = [workshop.variable() for _ in plans]
    unpack = ", ".join(names) + ","

    def source(sources: list[Any]) -> Callable[[str], str]:
        values = ", ".join(_converted(s, n) for s, n in zip(sources, names, strict=True))
        return lambda v: f"[({values},) for {unpack} in ({v},)][0]"

    return dataclasses.replace(
        plan, lower=source([p.lower for p in plans]), lift=source([p.lift for p in plans])
    )


def _mapping(cls: type[Any], key: Plan, value: Plan, workshop: Workshop) -> Plan:
    shown = f"{cls.__name__}[{key.shown}, {value.shown}]"
    k, x = workshop.variable(), workshop.variable()

    def parts(mapping: Any) -> Iterable[tuple[str, Plan, Any]]:
        for name, part in mapping.items():
            yield (".<key>", key, name)
            yield (f"[{name!r}]", value, part)

    plan = Plan(
        shown,
        dict[key.wire, value.wire],  # type: ignore[name-defined]
        frozenset({"map"}),
        (cls,),
        fault=_not_a(shown, (dict, collections.abc.Mapping)),
        parts=parts,
        inner=lambda token: ("[…]", value) if token == "..." else (".<key>", key),
        records=key.records + value.records,
    )
    made = workshop.constant(cls)
    as_is = key.native and key.wire in _KEYS_AS_THEY_ARE
    if as_is and value.native and cls is dict:
        return plan
    lower_x, lift_x = _converted(value.lower, x), _converted(value.lift, x)
    if as_is:
        lowered = f"{{{k}: {lower_x} for {k}, {x} in %s.items()}}"
        lifted = f"{{{k}: {lift_x} for {k}, {x} in %s.items()}}"
        wire: Any = plan.wire
    else:
        lower_k, lift_k = _converted(key.lower, k), _converted(key.lift, k)
        lowered = f"[({lower_k}, {lower_x}) for {k}, {x} in %s.items()]"
        lifted = f"{{{lift_k}: {lift_x} for {k}, {x} in %s}}"
        pair: Any = tuple
        ordered: Any = list
        wire = ordered[pair[key.wire, value.wire]]
    if cls is not dict:
        lifted = f"{made}({lifted})"
    return dataclasses.replace(
        plan,
        wire=wire,
        kinds=plan.kinds if as_is else frozenset({"array"}),
        lower=lambda v: lowered % v,
        lift=lambda v: lifted % v,
    )


def _deque(item: Plan, workshop: Workshop) -> Plan:
    x = workshop.variable()
    made, exact = workshop.constant(collections.deque), workshop.constant(refuse_class)
    pair: Any = tuple
    return Plan(
        f"deque[{item.shown}]",
        pair[int | None, list[item.wire]],  # type: ignore[name-defined]
        frozenset({"array"}),
        (collections.deque,),
        lower=lambda v: (
            f"(({v}.maxlen, [{_converted(item.lower, x)} for {x} in {v}])"
            f" if {v}.__class__ is {made} else {exact}({v}))"
        ),
        lift=lambda v: f"{made}([{_converted(item.lift, x)} for {x} in {v}[1]], {v}[0])",
        fault=_not_a(f"deque[{item.shown}]", (collections.deque,)),
        parts=lambda v: ((f"[{i}]", item, part) for i, part in enumerate(v)),
        records=item.records,
    )


def _defaultdict(plan: Plan, workshop: Workshop) -> Plan:
    name = workshop.constant(_factory_name)
    make = workshop.constant(_make_defaultdict)
    y = workshop.variable()
    pair: Any = tuple
    lower, lift = plan.lower, plan.lift

    def fault(value: Any) -> str:
        if not isinstance(value, collections.defaultdict):
            return f"is `{type(value).__name__}`, expected `defaultdict`"
        try:
            _factory_name(value)
        except TypeError as error:
            return str(error)
        return ""

    return Plan(
        plan.shown.replace("dict", "defaultdict", 1),
        pair[str | None, plan.wire],
        frozenset({"array"}),
        (collections.defaultdict,),
        lower=lambda v: f"({name}({v}), {_converted(lower, v)})",
        lift=lambda v: f"[{make}({v}[0], {_converted(lift, y)}) for {y} in ({v}[1],)][0]",
        fault=fault,
        parts=plan.parts,
        records=plan.records,
    )


def _factory_name(value: Any) -> str | None:
    factory = value.default_factory
    if factory is None:
        return None
    name = getattr(factory, "__name__", "")
    if _FACTORIES.get(name) is not factory:
        raise TypeError(
            f"has the default factory {factory!r}, which cannot travel; builtin types can"
        )
    return str(name)


def _make_defaultdict(name: str | None, items: Any) -> Any:
    return collections.defaultdict(_FACTORIES[name] if name is not None else None, items)
