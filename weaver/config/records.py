"""The fields of a record type: msgspec Struct, dataclass, attrs class, pydantic model, TypedDict.

Decides what counts as a record and what its keys are in TOML. It must not know about weaver.toml,
and imports none of the libraries that make such types.
"""

import dataclasses
import types
import typing
from collections import abc
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeGuard, Union

import msgspec

_LISTS = {list, tuple, set, frozenset}


class Entry(NamedTuple):
    """One field: its key in TOML, the constructor's keyword, the attribute, and its annotation."""

    key: str
    keyword: str
    attribute: str
    type: Any
    required: bool


def record_of(type_: Any) -> list[Entry] | None:
    """The fields of a record type, or None if `type_` is not one.

    Raises TypeError if its annotations cannot be resolved.
    """
    bare = strip(type_)
    cls: Any = typing.get_origin(bare) or bare
    if not isinstance(cls, type):
        return None
    for is_kind, entries in _KINDS:
        if is_kind(cls):
            try:
                return entries(cls)
            except NameError as error:
                raise TypeError(
                    f"an annotation of {cls.__qualname__} names `{error.name}`, "
                    "which cannot be found"
                ) from error
    return None


def is_record(type_: Any) -> bool:
    """Whether a type is a record; its annotations are not looked at."""
    bare = strip(type_)
    cls: Any = typing.get_origin(bare) or bare
    return isinstance(cls, type) and any(is_kind(cls) for is_kind, _ in _KINDS)


def is_table(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value read from TOML is a table, whose keys are always strings."""
    return isinstance(value, dict)


def is_mapping(value: object) -> TypeGuard[abc.Mapping[Any, Any]]:
    """Whether a value written in Python stands for a table."""
    return isinstance(value, abc.Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value read from TOML is a list."""
    return isinstance(value, list)


def is_pydantic(type_: Any) -> bool:
    """Whether a class is a pydantic model; pydantic itself is not imported."""
    return hasattr(type_, "model_validate") and hasattr(type_, "__pydantic_fields__")


def strip(type_: Any) -> Any:
    """The type under `Annotated`, `NewType`, `Required`, `Final` and type aliases."""
    while True:
        if typing.get_origin(type_) in {
            Annotated,
            typing.Required,
            typing.NotRequired,
            typing.Final,
        }:
            type_ = typing.get_args(type_)[0]
        elif hasattr(type_, "__supertype__"):
            type_ = type_.__supertype__
        elif type(type_).__name__ == "TypeAliasType":  # the `type` statement of Python 3.12
            type_ = type_.__value__
        else:
            return type_


def members(type_: Any) -> tuple[Any, ...]:
    """The members of a union, without None; else the type alone."""
    bare = strip(type_)
    if typing.get_origin(bare) in {Union, types.UnionType}:
        return tuple(arg for arg in typing.get_args(bare) if arg is not types.NoneType)
    return (type_,)


def is_optional(type_: Any) -> bool:
    """Whether None is a value of the type."""
    return types.NoneType in typing.get_args(strip(type_))


def ignored_keys(type_: Any) -> frozenset[str] | None:
    """Keys that a record takes besides its fields; None: any key."""
    cls = typing.get_origin(type_) or type_
    if is_pydantic(cls):
        aliases = (field.validation_alias for field in cls.model_fields.values())
        names = {name for alias in aliases for name in getattr(alias, "choices", ())}
        allowed = cls.model_config.get("extra") == "allow"
        return None if allowed else frozenset({*cls.model_fields, *names})
    struct: Any = getattr(cls, "__struct_config__", None)
    tag: str | None = struct and struct.tag_field
    return frozenset({tag} if tag else ())


def mapping_of(type_: Any) -> Any | None:
    """The value type of a mapping from strings, or None if `type_` is not one."""
    type_ = strip(type_)
    origin = typing.get_origin(type_) or type_
    if origin not in {dict, abc.Mapping, abc.MutableMapping}:
        return None
    args = typing.get_args(type_) or (str, Any)
    return args[1] if args[0] in {str, Any} else None


def element_of(type_: Any) -> Any | None:
    """The element type of a homogeneous list, set or tuple, or None if `type_` is not one."""
    type_ = strip(type_)
    origin = typing.get_origin(type_) or type_
    if origin not in _LISTS | {abc.Sequence, abc.Collection, abc.Iterable, abc.Set}:
        return None
    args = typing.get_args(type_) or (Any, ...)
    if origin is tuple and (len(args) != 2 or args[1] is not ...):
        return None
    return args[0]


def container_of(type_: Any) -> Any:
    """The class that builds a list-like annotation from a list."""
    bare = strip(type_)
    origin = typing.get_origin(bare) or bare
    return origin if origin in _LISTS else (frozenset if "Set" in str(origin) else list)


def type_name(type_: Any) -> str:
    """An annotation as its author would write it."""
    if typing.get_origin(type_) is Literal or typing.get_args(type_):
        return str(type_).replace("typing.", "")
    return getattr(type_, "__name__", None) or str(type_)


def _struct(cls: Any) -> list[Entry]:
    return [
        Entry(field.encode_name, field.name, field.name, field.type, field.required)
        for field in msgspec.structs.fields(cls)
    ]


def _typed_dict(cls: Any) -> list[Entry]:
    required: frozenset[str] = cls.__required_keys__
    return [Entry(key, key, key, hint, key in required) for key, hint in _hints(cls).items()]


def _dataclass(cls: Any) -> list[Entry]:
    hints = _hints(cls)
    missing = dataclasses.MISSING
    return [
        Entry(
            field.name,
            field.name,
            field.name,
            hints.get(field.name, Any),
            field.default is missing and field.default_factory is missing,
        )
        for field in dataclasses.fields(cls)
        if field.init
    ]


def _attrs(cls: Any) -> list[Entry]:
    hints = _hints(cls)
    return [
        Entry(
            field.alias or field.name,
            field.alias or field.name,
            field.name,
            hints.get(field.name, Any),
            repr(field.default) == "NOTHING",  # attrs' own mark, which is not imported here
        )
        for field in cls.__attrs_attrs__
        if field.init
    ]


def _pydantic(cls: Any) -> list[Entry]:
    entries: list[Entry] = []
    for name, field in cls.model_fields.items():
        key = field.validation_alias if isinstance(field.validation_alias, str) else field.alias
        entries.append(Entry(key or name, name, name, field.annotation, field.is_required()))
    return entries


def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any], list[Entry]]], ...] = (
    (lambda cls: hasattr(cls, "__struct_fields__"), _struct),
    (is_pydantic, _pydantic),
    (dataclasses.is_dataclass, _dataclass),
    (lambda cls: hasattr(cls, "__attrs_attrs__"), _attrs),
    (typing.is_typeddict, _typed_dict),
)
