"""Records: dataclasses, attrs classes, msgspec Structs, NamedTuple.

They travel as arrays of their fields, without names. Rebuilding calls the plain constructor of a
class whose constructor only assigns, or does those assignments itself (`constructors.py`); of any
other class it sets the fields and runs neither `__init__` nor `__post_init__`, because the sender
has run them. An instance of a subclass is refused, never sliced.
"""

import dataclasses
import typing
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from weaver.rpc.codec.constructors import assignable, keyword_fields, only_assigns
from weaver.rpc.codec.fields import field_names, resolved_types
from weaver.rpc.codec.filling import filled
from weaver.rpc.codec.plan import (
    Build,
    Plan,
    Row,
    Source,
    Unpacking,
    Unsupported,
    Workshop,
    converted,
    from_row,
    plan_within,
    surroundings,
    unpacked,
)
from weaver.rpc.codec.recursion import knotted
from weaver.rpc.codec.scalars import refuse_class
from weaver.rpc.codec.shapes import struct_shape


def record_plan(annotation: Any, workshop: Workshop, build: Build) -> Plan | None:
    """The plan of a record class, generic or not, or None if it is something else."""
    cls = typing.get_origin(annotation) or annotation
    if not isinstance(cls, type):
        return None
    names = field_names(cls)
    if names is None:
        return None

    def outer() -> Plan:
        shown = cls.__qualname__.rpartition("<locals>.")[2]
        plans = [
            (name, plan_within(f"{shown}.{name}", type_, build))
            for name, type_ in _fields(cls, annotation, names)
        ]
        plan = _positional(cls, plans, workshop)
        return _struct(cls, annotation, plan, plans) if issubclass(cls, msgspec.Struct) else plan

    return knotted(annotation, workshop, outer, cls.__name__, (cls,))


def _fields(cls: type[Any], annotation: Any, names: list[str]) -> list[tuple[str, Any]]:
    """The fields with their resolved types."""
    types = resolved_types(annotation)
    missing = [name for name in names if name not in types]
    if missing:
        raise Unsupported(f"{cls.__name__}.{missing[0]} has no annotation", "write its type")
    return [(name, types[name]) for name in names]


# --- positional form ---


def _positional(cls: type[Any], fields: Sequence[tuple[str, Plan]], workshop: Workshop) -> Plan:
    names = [name for name, _ in fields]
    plans = dict(fields)
    row = _putting_together(cls, fields, workshop) if fields else None
    wires: Any = tuple(plan.wire for plan in plans.values())
    generic: Any = tuple
    return Plan(
        cls.__name__,
        generic[wires] if wires else generic[()],
        frozenset({"array"}),
        (cls,),
        lower=_taking_apart(cls, fields, workshop),
        lift=from_row(row) if row is not None else _maker_of_nothing(cls, workshop),
        lift_row=row,
        fault=lambda v: _class_fault(cls, v, names),
        parts=lambda v: ((f".{name}", plan, getattr(v, name)) for name, plan in fields),
        inner=lambda place: (
            (f".{names[int(place)]}", fields[int(place)][1])
            if place.isdigit()
            else (f".{place}", plans[place])
        ),
        records=tuple(r for plan in plans.values() for r in plan.records),
    )


def _taking_apart(cls: type[Any], fields: Sequence[tuple[str, Plan]], workshop: Workshop) -> Source:
    exact, refuse = workshop.constant(cls), workshop.constant(refuse_class)

    def lower(v: str) -> str:
        values = "".join(f"{converted(plan.lower, f'{v}.{name}')}, " for name, plan in fields)
        return f"(({values}) if {v}.__class__ is {exact} else {refuse}({v}))"

    return lower


def _putting_together(
    cls: type[Any], fields: Sequence[tuple[str, Plan]], workshop: Workshop
) -> Row:
    if assignable(cls):
        return _assigning(cls, fields, workshop)
    make = _maker(cls, [name for name, _ in fields], workshop)

    def row() -> Unpacking:
        parts = [unpacked(p.lift_row, p.lift, workshop.variable()) for _, p in fields]
        targets = ", ".join(part.target for part in parts)
        made = make([part.value for part in parts])
        return Unpacking(workshop.variable(), f"({targets},)", made, *surroundings(parts))

    return row


def _assigning(cls: type[Any], fields: Sequence[tuple[str, Plan]], workshop: Workshop) -> Row:
    """Unpack straight into the attributes of a new object, in the order of the constructor.

    Fields from the first one on that is converted, or made of parts, are assigned afterwards.
    """
    new, made = workshop.constant(object.__new__), workshop.constant(cls)

    def row() -> Unpacking:
        instance = workshop.variable()
        parts = [unpacked(p.lift_row, p.lift, workshop.variable()) for _, p in fields]
        before, after = surroundings(parts)
        targets: list[str] = []
        assigned: list[tuple[str, str]] = []
        for (name, _), part in zip(fields, parts, strict=True):
            if part.target == part.value and not assigned:
                targets.append(f"{instance}.{name}")
            else:
                targets.append(part.target)
                assigned.append((f"{instance}.{name}", part.value))
        before = (*before, (instance, f"{new}({made})"))
        target = f"({', '.join(targets)},)"
        return Unpacking(workshop.variable(), target, instance, before, (*after, *assigned))

    return row


def _maker_of_nothing(cls: type[Any], workshop: Workshop) -> Source:
    make = _maker(cls, [], workshop)
    return lambda _: make([])


def _class_fault(cls: type[Any], value: Any, names: Sequence[str]) -> str:
    if type(value) is cls:
        missing = [name for name in names if not hasattr(value, name)]
        return f"has no value for its field `{missing[0]}`" if missing else ""
    found = type(value).__name__
    if isinstance(value, cls):
        return (
            f"is `{found}`, a subclass of `{cls.__name__}` that the annotation does not name; "
            "it would lose what it adds"
        )
    return f"is `{found}`, expected `{cls.__name__}`"


def _maker(cls: type[Any], names: Sequence[str], workshop: Workshop) -> Callable[[list[str]], str]:
    """Source that builds an instance from the sources of its field values."""
    made = workshop.constant(cls)
    if only_assigns(cls):
        by_name = keyword_fields(cls)

        def call(values: list[str]) -> str:
            given = list(zip(names, values, strict=True))
            arguments = [v for n, v in given if n not in by_name]
            arguments += [f"{n}={v}" for n, v in given if n in by_name]
            return f"{made}({', '.join(arguments)})"

        return call

    def build_with(*values: Any) -> Any:
        return filled(cls, names, values)

    build = workshop.constant(build_with)
    return lambda values: f"{build}({', '.join(values)})"


def _struct(
    cls: type[msgspec.Struct], annotation: Any, plan: Plan, fields: Sequence[tuple[str, Plan]]
) -> Plan:
    """The plan of a Struct: msgspec's own way if it is exact, and how compiled code takes it."""
    shapes = [(name, field.shaped) for name, field in fields]
    if not _is_native_struct(cls, fields):
        return dataclasses.replace(plan, shape=struct_shape(cls, None, shapes))
    return dataclasses.replace(
        plan,
        wire=annotation,
        lower=None,
        lift=None,
        lift_row=None,
        records=(cls, *plan.records),
        shape=struct_shape(cls, annotation, shapes),
    )


def _is_native_struct(cls: Any, fields: Sequence[tuple[str, Plan]]) -> bool:
    config = cls.__struct_config__
    return bool(
        config.array_like
        and config.tag is None
        and not hasattr(cls, "__post_init__")
        and all(plan.native for _, plan in fields)
    )
