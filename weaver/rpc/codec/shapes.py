"""Shapes: where in values of a type records are, for the compiled codec of records.

This file decides which types it takes, and what msgspec decodes their values as. Types without a
shape go through the generated functions; both give the same bytes and the same values.
"""

import dataclasses
import types
import typing
import weakref
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from weaver.rpc.codec.compiled import RecordCodec, record_codec
from weaver.rpc.codec.constructors import keyword_fields
from weaver.rpc.codec.wire import WireDecoder, encode_small

_RECORD, _LIST, _ROW, _MAPPING, _OPTIONAL = range(5)  # as in c/shape.h

Description = tuple[int, tuple["Description | None", ...], Any, Any, tuple[str, ...] | None]

_twins: Final[weakref.WeakKeyDictionary[type[Any], dict[Any, type[Any]]]] = (
    weakref.WeakKeyDictionary()
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What msgspec decodes values as, and where among it records are: None if nowhere."""

    wire: Any
    description: Description | None = None


def compiled(shape: Shape | None) -> RecordCodec | None:
    """The compiled codec of a shape; None if it holds no records, or there is none."""
    make = record_codec()
    if make is None or shape is None or shape.description is None:
        return None
    return make(shape.description, encode_small, WireDecoder(shape.wire).typed)


def many_shape(generic: Any, arguments: tuple[Any, ...], item: Shape | None) -> Shape | None:
    """The shape of a list or tuple of any length; `arguments` come after the item's type."""
    if item is None or item.description is None:
        return item and Shape(generic[(item.wire, *arguments)])
    return Shape(generic[(item.wire, *arguments)], (_LIST, (item.description,), None, None, None))


def row_shape(items: Sequence[Shape | None]) -> Shape | None:
    """The shape of a tuple of fixed length."""
    known = [item for item in items if item is not None]
    if len(known) < len(items) or not items:
        return None
    generic: Any = tuple
    parts = tuple(item.description for item in known)
    description: Description = (_ROW, parts, None, None, None)
    return Shape(generic[tuple(item.wire for item in known)], description if any(parts) else None)


def mapping_shape(key: Any, value: Shape | None) -> Shape | None:
    """The shape of a dict, whose keys are none of ours."""
    generic: Any = dict
    if value is None or value.description is None:
        return value and Shape(generic[key, value.wire])
    return Shape(generic[key, value.wire], (_MAPPING, (value.description,), None, None, None))


def optional_shape(inner: Shape | None) -> Shape | None:
    """The shape of a value that may be None."""
    if inner is None:
        return None
    wire: Any = typing.Optional[inner.wire]  # noqa: UP045 # it may be any typing object
    if inner.description is None:
        return Shape(wire)
    return Shape(wire, (_OPTIONAL, (inner.description,), None, None, None))


def struct_shape(
    cls: type[msgspec.Struct], wire: Any, fields: Sequence[tuple[str, Shape | None]]
) -> Shape | None:
    """The shape of a Struct. `wire` is what msgspec decodes it as, None for a twin of it.

    None without compiled code, and where instances are more than their fields in slots.
    """
    make = record_codec()
    names = tuple(name for name, _ in fields)
    known = [shape for _, shape in fields if shape is not None]
    if make is None or not names or len(known) < len(names) or not _is_plain(cls):
        return None
    twin: Any = cls if wire is not None else _twin(cls, names, tuple(s.wire for s in known))
    if twin.__struct_fields__ != names:
        return None
    description: Description = (_RECORD, tuple(s.description for s in known), cls, twin, names)
    try:
        make(description, encode_small, encode_small)  # it compares the layouts
    except (TypeError, ValueError, AttributeError):
        return None
    return Shape(wire if wire is not None else twin, description)


def _is_plain(cls: Any) -> bool:
    return type(cls) is type(msgspec.Struct) and cls.__getattribute__ is object.__getattribute__


def _twin(cls: Any, names: tuple[str, ...], wires: tuple[Any, ...]) -> type[Any]:
    """A class whose instances are laid out like those of `cls`, and come from arrays.

    It has nothing else of `cls`: no base, so that nobody finds it; no code; no defaults. Slots are
    laid out level by level, so the twin has a base for each base that has some.
    """
    twins = _twins.setdefault(cls, {})
    if (names, wires) in twins:
        return twins[names, wires]
    by_name, twin = keyword_fields(cls), msgspec.Struct
    for level in reversed(_line(cls)):
        fields = [f for f in zip(names, wires, strict=True) if _has_slot(level, f[0])]
        if fields:
            twin = msgspec.defstruct(
                cls.__name__,
                fields,
                bases=(twin,),
                array_like=True,
                forbid_unknown_fields=True,
                gc=cls.__struct_config__.gc,
                kw_only=fields[0][0] in by_name,  # such fields come last
            )
    twins[names, wires] = twin
    return twin


def _has_slot(level: Any, name: str) -> bool:
    return isinstance(level.__dict__.get(name), types.MemberDescriptorType)


def _line(cls: Any) -> list[Any]:
    """A Struct class and its bases that add fields, from the last one on."""
    line: list[Any] = []
    while cls is not msgspec.Struct and cls is not object:
        line.append(cls)
        cls = cls.__base__
    return line
