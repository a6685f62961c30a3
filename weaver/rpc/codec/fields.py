"""The fields of a record class: their names in order, and their types, resolved."""

import dataclasses
import typing
from typing import Any

import msgspec

from weaver.rpc.codec.generics import field_types
from weaver.rpc.codec.plan import Unsupported


def field_names(cls: Any) -> list[str] | None:
    """Of a dataclass, Struct, attrs class or NamedTuple; None for any other class."""
    if dataclasses.is_dataclass(cls):
        return [f.name for f in dataclasses.fields(cls)]
    if issubclass(cls, msgspec.Struct):
        return list(cls.__struct_fields__)
    if hasattr(cls, "__attrs_attrs__"):
        return [a.name for a in cls.__attrs_attrs__]
    names: Any = getattr(cls, "_fields", None) if is_tuple(cls) else None
    return None if names is None else list(names)


def is_tuple(cls: Any) -> bool:
    """Whether instances are tuples; a function, as type checkers narrow what they see tested."""
    return issubclass(cls, tuple)


def resolved_types(annotation: Any) -> dict[str, Any]:
    """The types of the fields of a class, generic or not.

    Raises Unsupported where an annotation cannot be resolved.
    """
    try:
        return field_types(annotation)
    except Exception as error:
        cls: Any = typing.get_origin(annotation) or annotation
        raise Unsupported(
            f"the annotations of {cls.__name__} cannot be resolved: {error}",
            "import the names they use at run time, outside `if TYPE_CHECKING`",
        ) from error
