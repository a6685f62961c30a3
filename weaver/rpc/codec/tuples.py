"""Tuples: of one type and any length, or of a fixed row of types."""

import dataclasses
from collections.abc import Callable
from typing import Any

from weaver.rpc.codec.plan import (
    Build,
    Plan,
    Row,
    Source,
    Unpacking,
    Workshop,
    from_row,
    not_a,
    surroundings,
    unpacked,
)
from weaver.rpc.codec.sequences import sequence_plan
from weaver.rpc.codec.shapes import many_shape, row_shape


def tuple_plan(args: tuple[Any, ...], workshop: Workshop, build: Build) -> Plan:
    """The plan of `tuple[args]`. Raises Unsupported for an item that cannot travel."""
    if len(args) == 2 and args[1] is Ellipsis:
        return _of_any_length(build(args[0]), workshop)
    return _of_fixed_length([build(arg) for arg in args], workshop)


def _of_any_length(item: Plan, workshop: Workshop) -> Plan:
    plan = sequence_plan(list, "tuple", item, workshop)
    generic: Any = tuple
    wire = generic[item.wire, ...]
    shown = f"tuple[{item.shown}, ...]"
    fault = not_a(shown, (tuple, list))
    plan = dataclasses.replace(plan, shown=shown, classes=(tuple,), wire=wire, fault=fault)
    plan = dataclasses.replace(plan, shape=many_shape(tuple, (...,), item.shaped))
    if item.native:
        return plan
    up = unpacked(item.lift_row, item.lift, workshop.variable())

    def lift(v: str) -> str:
        return f"tuple([{up.over(v)}])"

    return dataclasses.replace(plan, lift=lift)


def _of_fixed_length(plans: list[Plan], workshop: Workshop) -> Plan:
    shown = f"tuple[{', '.join(p.shown for p in plans)}]"
    wires: Any = tuple(p.wire for p in plans)
    generic: Any = tuple
    plan = Plan(
        shown,
        generic[wires] if wires else generic[()],
        frozenset({"array"}),
        (tuple,),
        fault=_length_fault(shown, len(plans)),
        parts=lambda v: (
            (f"[{i}]", p, part) for i, (p, part) in enumerate(zip(plans, v, strict=False))
        ),
        inner=lambda token: (f"[{token}]", plans[int(token)]),
        records=tuple(r for p in plans for r in p.records),
        shape=row_shape([p.shaped for p in plans]),
    )
    if all(p.native for p in plans):
        return plan
    down = _row([(p.lower_row, p.lower) for p in plans], workshop)
    up = _row([(p.lift_row, p.lift) for p in plans], workshop)
    plan = plan.converting(from_row(down), from_row(up))
    return dataclasses.replace(plan, lower_row=down, lift_row=up)


def _length_fault(shown: str, length: int) -> Callable[[Any], str]:
    wrong_class = not_a(shown, (tuple, list))

    def fault(value: Any) -> str:
        found = wrong_class(value)
        if not found and len(value) != length:
            return f"has {len(value)} items, expected {length} for `{shown}`"
        return found

    return fault


def _row(items: list[tuple[Row | None, Source | None]], workshop: Workshop) -> Row:
    def row() -> Unpacking:
        parts = [unpacked(row, source, workshop.variable()) for row, source in items]
        targets = ", ".join(part.target for part in parts)
        values = ", ".join(part.value for part in parts)
        return Unpacking(workshop.variable(), f"({targets},)", f"({values},)", *surroundings(parts))

    return row
