"""Unions: msgspec tells members apart where their wire forms differ; elsewhere a number does."""

import types
import typing
from typing import Any

from weaver.rpc.codec.plan import Build, Plan, Unsupported, Workshop
from weaver.rpc.codec.shapes import optional_shape
from weaver.rpc.codec.wire import WireDecoder, encode_wire


def union_plan(annotation: Any, workshop: Workshop, build: Build) -> Plan | None:
    """The plan of `A | B`, `Union[A, B]` or `Optional[A]`, or None for anything else.

    Raises Unsupported if values do not tell which member they are.
    """
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return None
    plans = _once_none([build(arg) for arg in _merged(typing.get_args(annotation))])
    if len(plans) == 1:
        return plans[0]
    shown = " | ".join(plan.shown for plan in plans)
    _check_distinct(plans, shown)
    optional = [p for p in plans if p.classes != (type(None),)]
    if len(optional) == 1 and len(plans) == 2:
        return _optional(optional[0], shown)
    kinds = [kind for plan in plans for kind in plan.kinds]
    if all(p.native for p in plans) and len(kinds) == len(set(kinds)):
        wire: Any = plans[0].wire
        for plan in plans[1:]:
            wire = typing.Union[wire, plan.wire]  # noqa: UP007
        classes = tuple(c for p in plans for c in p.classes)
        return Plan(
            shown,
            wire,
            frozenset(kinds),
            classes,
            fault=lambda v: "" if _member(plans, v) is not None else _no_member(shown, v),
            parts=lambda v: _parts(plans, v),
            records=tuple(r for p in plans for r in p.records),
        )
    return _tagged(plans, shown, workshop)


def _merged(members: tuple[Any, ...]) -> list[Any]:
    """The members, all Literals as one: Python itself merges none of them."""
    values = [v for m in members if _is_literal(m) for v in typing.get_args(m)]
    others = [m for m in members if not _is_literal(m)]
    literal: Any = typing.Literal
    return [*others, literal[tuple(values)]] if values else others


def _is_literal(member: Any) -> bool:
    return typing.get_origin(member) is typing.Literal


def _once_none(plans: list[Plan]) -> list[Plan]:
    """The plans without that of None, if None is among the values of a Literal."""
    nothing = type(None)
    if any(nothing in plan.classes and len(plan.classes) > 1 for plan in plans):
        return [plan for plan in plans if plan.classes != (nothing,)]
    return plans


def _check_distinct(plans: list[Plan], shown: str) -> None:
    owners: dict[Any, Plan] = {}
    for plan in plans:
        for cls in plan.classes:
            other = owners.setdefault(cls, plan)
            if other is not plan:
                raise Unsupported(
                    f"the members of `{shown}` cannot be told apart: values of `{other.shown}` and "
                    f"`{plan.shown}` are both `{cls.__name__}` at run time",
                    "wrap one of them in a dataclass, or make it two parameters",
                )


def _optional(inner: Plan, shown: str) -> Plan:
    lower, lift = inner.lower, inner.lift
    return Plan(
        shown,
        typing.Optional[inner.wire],  # noqa: UP045 # the inner wire may be any typing object
        inner.kinds | {"nil"},
        (*inner.classes, type(None)),
        lower=None if lower is None else lambda v: f"(None if {v} is None else {lower(v)})",
        lift=None if lift is None else lambda v: f"(None if {v} is None else {lift(v)})",
        fault=lambda v: "" if v is None or inner.fault is None else inner.fault(v),
        parts=lambda v: () if v is None or inner.parts is None else inner.parts(v),
        inner=inner.inner,
        records=inner.records,
        shape=optional_shape(inner.shaped),
    )


def _tagged(plans: list[Plan], shown: str, workshop: Workshop) -> Plan:
    lowers = [workshop.lowering(p) for p in plans]
    lifts = [workshop.lifting(p) for p in plans]
    decoders = [WireDecoder(p.wire) for p in plans]
    numbers: dict[Any, int] = {cls: i for i, p in enumerate(plans) for cls in p.classes}

    def pack(value: Any) -> tuple[int, bytes]:
        number = numbers.get(type(value))
        if number is None:
            number = next(
                (i for i, p in enumerate(plans) if p.fault is not None and not p.fault(value)), -1
            )
            if number < 0:
                raise TypeError(_no_member(shown, value))
        lower = lowers[number]
        return number, encode_wire(value if lower is None else lower(value))

    def unpack(pair: tuple[int, bytes]) -> Any:
        number, data = pair
        if not 0 <= number < len(plans):
            raise ValueError(f"member {number} of a union of {len(plans)}")
        value = decoders[number].decode(data)
        lift = lifts[number]
        return value if lift is None else lift(value)

    packer, unpacker = workshop.constant(pack), workshop.constant(unpack)
    return Plan(
        shown,
        tuple[int, bytes],
        frozenset({"array"}),
        tuple(numbers),
        lower=lambda v: f"{packer}({v})",
        lift=lambda v: f"{unpacker}({v})",
        fault=lambda v: "" if _member(plans, v) is not None else _no_member(shown, v),
        parts=lambda v: _parts(plans, v),
        records=tuple(r for p in plans for r in p.records),
    )


def _member(plans: list[Plan], value: Any) -> Plan | None:
    for plan in plans:
        if type(value) in plan.classes:
            return plan
    return next((p for p in plans if p.fault is not None and not p.fault(value)), None)


def _parts(plans: list[Plan], value: Any) -> Any:
    plan = _member(plans, value)
    return () if plan is None or plan.parts is None else plan.parts(value)


def _no_member(shown: str, value: Any) -> str:
    return f"is `{type(value).__name__}`, expected one of `{shown}`"
