"""Instances made of field values, without running any code of their class."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


def filled(cls: type[Any], names: Sequence[str], values: Sequence[Any]) -> Any:
    """An instance with these fields, made without running `__init__` or `__post_init__`."""
    if issubclass(cls, msgspec.Struct):
        struct: Any = _without_hook(cls)(**dict(zip(names, values, strict=True)))
        msgspec.structs.force_setattr(struct, "__class__", cls)
        return struct
    kind: Any = cls
    made = kind.__new__(kind)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(made, name, value)
    return made


def filled_model(
    cls: Any, names: Sequence[str], values: Sequence[Any], given: Iterable[str] | None = None
) -> Any:
    """The same for a pydantic model: it keeps its fields, and which are set, in attributes.

    `given` are those that are set; None for all. Private attributes get their defaults.
    """
    made = cls.__new__(cls)
    object.__setattr__(made, "__dict__", dict(zip(names, values, strict=True)))
    object.__setattr__(made, "__pydantic_fields_set__", set(names if given is None else given))
    extra: Any = {} if cls.model_config.get("extra") == "allow" else None
    object.__setattr__(made, "__pydantic_extra__", extra)
    object.__setattr__(made, "__pydantic_private__", _private(cls))
    return made


def _private(cls: Any) -> dict[str, Any] | None:
    attributes = cls.__private_attributes__
    if not attributes:
        return None
    defaults = {name: attribute.get_default() for name, attribute in attributes.items()}
    return {name: value for name, value in defaults.items() if _is_given(value)}


def _is_given(value: Any) -> bool:
    return type(value).__name__ != "PydanticUndefinedType"


@functools.lru_cache(maxsize=256)
def _without_hook(cls: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same layout without `__post_init__`: only its constructor can allocate a Struct."""
    if not hasattr(cls, "__post_init__"):
        return cls
    kind: Any = type(cls)
    silent: type[msgspec.Struct] = kind(
        cls.__name__, (cls,), {"__module__": cls.__module__, "__post_init__": _nothing}
    )
    return silent


def _nothing(_self: object) -> None:
    pass
