"""Records whose fields are taken as they are, without a plan made from their annotations."""

import sys
from typing import Any

from weaver.rpc.codec.fields import field_names, is_tuple
from weaver.rpc.codec.filling import filled, filled_model


def record_values(value: Any) -> list[Any] | None:
    """The values of the fields of a record, in order; None for a value of another kind."""
    names = _names(value.__class__)
    return None if names is None else [getattr(value, name) for name in names]


def built_record(cls: type[Any], values: list[Any]) -> Any:
    """An instance with these fields, made without `__init__`. Raises ValueError for no such record.

    Nothing says of which types the fields are: they are what the sender had.
    """
    names = _names(cls)
    if names is None or len(names) != len(values):
        raise ValueError(f"{cls.__qualname__} is no record of {len(values)} fields here")
    if is_tuple(cls):
        row: Any = tuple
        return row.__new__(cls, values)
    fill = filled_model if _is_pydantic(cls) else filled
    return fill(cls, names, values)


def _names(cls: Any) -> list[str] | None:
    return list(cls.__pydantic_fields__) if _is_pydantic(cls) else field_names(cls)


def _is_pydantic(cls: type[Any]) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(cls, pydantic.BaseModel)
