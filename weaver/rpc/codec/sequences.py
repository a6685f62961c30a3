"""Lists, sets and deques: many items of one type."""

import collections
import dataclasses
from typing import Any, Final

from weaver.rpc.codec.plan import Parts, Plan, Workshop, converted, not_a, unpacked
from weaver.rpc.codec.scalars import refuse_class
from weaver.rpc.codec.shapes import many_shape

_BRACKETS: Final = {"list": "[]", "set": "{}", "frozenset": ("frozenset([", "])")}


def sequence_plan(cls: type[Any], shown: str, item: Plan, workshop: Workshop) -> Plan:
    """The plan of a list, set or frozenset of items."""
    x = workshop.variable()
    generic: Any = cls
    accepted: tuple[type[Any], ...] = (list, tuple) if cls is list else (set, frozenset)
    plan = Plan(
        f"{shown}[{item.shown}]",
        generic[item.wire],
        frozenset({"array"}),
        (cls,),
        fault=not_a(f"{shown}[{item.shown}]", accepted),
        parts=item_parts(item),
        inner=lambda place: (f"[{place}]", item),
        records=item.records,
        shape=many_shape(list, (), item.shaped) if cls is list else None,
    )
    if item.native:
        return plan
    ordered: Any = list
    opening, closing = _BRACKETS[cls.__name__]
    down = unpacked(item.lower_row, item.lower, x)
    up = unpacked(item.lift_row, item.lift, x)
    return dataclasses.replace(plan, wire=ordered[item.wire]).converting(
        lambda v: f"[{down.over(v)}]",
        lambda v: f"{opening}{up.over(v)}{closing}",
    )


def deque_plan(item: Plan, workshop: Workshop) -> Plan:
    """The plan of a deque of items; its greatest length travels too."""
    x = workshop.variable()
    made, exact = workshop.constant(collections.deque), workshop.constant(refuse_class)
    pair: Any = tuple
    return Plan(
        f"deque[{item.shown}]",
        pair[int | None, list[item.wire]],  # type: ignore[name-defined]
        frozenset({"array"}),
        (collections.deque,),
        lower=lambda v: (
            f"(({v}.maxlen, [{converted(item.lower, x)} for {x} in {v}])"
            f" if {v}.__class__ is {made} else {exact}({v}))"
        ),
        lift=lambda v: f"{made}([{converted(item.lift, x)} for {x} in {v}[1]], {v}[0])",
        fault=not_a(f"deque[{item.shown}]", (collections.deque,)),
        parts=item_parts(item),
        records=item.records,
    )


def item_parts(item: Plan) -> Parts:
    """The `parts` of a value whose parts are its items, in order."""

    def parts(value: Any) -> Any:
        return ((f"[{i}]", item, part) for i, part in enumerate(value))

    return parts
