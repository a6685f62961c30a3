"""Pydantic models. They travel as their fields, and with which of them were set.

The latter decides what `model_dump(exclude_unset=True)` gives, which a partial update is made of.
Rebuilding runs no validator, because the sender has; private attributes get their defaults.
"""

import sys
import typing
from collections.abc import Callable
from typing import Any

from weaver.rpc.codec.filling import filled_model
from weaver.rpc.codec.plan import Build, Plan, Unsupported, Workshop, plan_within
from weaver.rpc.codec.recursion import knotted
from weaver.rpc.codec.scalars import converted_plan, refuse_class

Convert = Callable[[Any], Any]


def model_plan(annotation: Any, workshop: Workshop, build: Build) -> Plan | None:
    """The plan of a pydantic model, e-mail address or URL, or None if it is something else."""
    pydantic: Any = sys.modules.get("pydantic")
    if pydantic is None or not isinstance(annotation, type):
        return None
    if annotation is pydantic.EmailStr:
        return build(str)  # at run time it is one
    if _is_url(annotation):
        return converted_plan(annotation, str, frozenset({"str"}), (str, annotation), workshop)
    if not issubclass(annotation, pydantic.BaseModel):
        return None
    cls: Any = annotation
    return knotted(cls, workshop, lambda: _outer(cls, workshop, build), cls.__name__, (cls,))


def _is_url(cls: type[Any]) -> bool:
    networks = sys.modules.get("pydantic.networks")
    base: Any = getattr(networks, "_BaseUrl", None)
    return isinstance(base, type) and issubclass(cls, base)


def _outer(cls: Any, workshop: Workshop, build: Build) -> Plan:
    plans = {
        name: plan_within(f"{cls.__name__}.{name}", type_, build)
        for name, type_ in _types(cls).items()
    }
    names = tuple(plans)
    wires: Any = (int, *(plan.wire for plan in plans.values()))
    row: Any = tuple
    lowers = [workshop.lowering(plan) for plan in plans.values()]
    lifts = [workshop.lifting(plan) for plan in plans.values()]
    pack = workshop.constant(_packing(cls, dict(zip(names, lowers, strict=True))))
    unpack = workshop.constant(_unpacking(cls, dict(zip(names, lifts, strict=True))))
    return Plan(
        cls.__name__,
        row[wires],
        frozenset({"array"}),
        (cls,),
        lower=lambda v: f"{pack}({v})",
        lift=lambda v: f"{unpack}({v})",
        fault=lambda v: _fault(cls, v),
        parts=lambda v: ((f".{name}", plan, getattr(v, name)) for name, plan in plans.items()),
        inner=lambda place: (f".{names[int(place) - 1]}", plans[names[int(place) - 1]]),
        records=tuple(r for plan in plans.values() for r in plan.records),
    )


def _types(cls: Any) -> dict[str, Any]:
    """The types of the fields as pydantic has resolved them; as written where it has not."""
    types = {name: field.annotation for name, field in cls.__pydantic_fields__.items()}
    if not any(_is_open(type_) for type_ in types.values()):
        return types
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except Exception as error:
        raise Unsupported(
            f"the annotations of {cls.__name__} cannot be resolved: {error}",
            "import the names they use at run time, outside `if TYPE_CHECKING`",
        ) from error
    return {name: hints[name] if _is_open(type_) else type_ for name, type_ in types.items()}


def _is_open(type_: Any) -> bool:
    if isinstance(type_, (str, typing.ForwardRef)):
        return True
    return any(_is_open(arg) for arg in typing.get_args(type_) if not isinstance(arg, str))


def _packing(cls: Any, lowers: dict[str, Convert | None]) -> Convert:
    def pack(value: Any) -> tuple[Any, ...]:
        if value.__class__ is not cls or value.__pydantic_extra__:
            return tuple(refuse_class(value))
        given, bit, mask = value.__pydantic_fields_set__, 1, 0
        row: list[Any] = []
        for name, lower in lowers.items():
            part = getattr(value, name)
            row.append(part if lower is None else lower(part))
            mask |= bit if name in given else 0
            bit <<= 1
        return (mask, *row)

    return pack


def _unpacking(cls: Any, lifts: dict[str, Convert | None]) -> Convert:
    names = tuple(lifts)

    def unpack(row: tuple[Any, ...]) -> Any:
        mask, *parts = row
        given = {name for i, name in enumerate(names) if mask >> i & 1}
        values = [
            part if lift is None else lift(part)
            for part, lift in zip(parts, lifts.values(), strict=True)
        ]
        return filled_model(cls, names, values, given)

    return unpack


def _fault(cls: Any, value: Any) -> str:
    found = type(value).__name__
    if type(value) is not cls:
        if isinstance(value, cls):
            return (
                f"is `{found}`, a subclass of `{cls.__name__}` that the annotation does not name; "
                "it would lose what it adds"
            )
        return f"is `{found}`, expected `{cls.__name__}`"
    extra: Any = value.__pydantic_extra__
    if extra:
        return f"has the field `{min(extra)}`, which `{cls.__name__}` does not declare"
    missing = [name for name in cls.__pydantic_fields__ if not hasattr(value, name)]
    return f"has no value for its field `{missing[0]}`" if missing else ""
