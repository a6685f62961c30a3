"""Assignments in place of a constructor make the same object, whatever the dataclass looks like."""

import dataclasses
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from weaver.rpc.codec import ValueCodec
from weaver.rpc.codec.constructors import assignable


@dataclasses.dataclass
class Money:
    currency: str
    units: int


@dataclasses.dataclass(slots=True)
class Line:
    price: Money
    id: uuid.UUID
    note: str | None = None


MONEY = st.builds(Money, st.text(max_size=3), st.integers())
LINE = st.builds(Line, MONEY, st.uuids(), st.none() | st.text(max_size=3))
TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, st.integers()),
    "uuid": (uuid.UUID, st.uuids()),
    "money": (Money, MONEY),
    "maybe": (Money | None, st.none() | MONEY),
    "line": (Line, LINE),
    "lines": (list[Line], st.lists(LINE, max_size=2)),
    "pair": (tuple[Money, uuid.UUID], st.tuples(MONEY, st.uuids())),
    "by_name": (dict[str, Line], st.dictionaries(st.text(max_size=2), LINE, max_size=2)),
}


@st.composite
def classes(draw: st.DrawFn) -> tuple[type[Any], dict[str, st.SearchStrategy[Any]]]:
    """A dataclass, and strategies for its fields."""
    fields: list[tuple[str, Any, Any]] = []
    values: dict[str, st.SearchStrategy[Any]] = {}
    optional = False
    for number in range(draw(st.integers(0, 5))):
        annotation, strategy = TYPES[draw(st.sampled_from(list(TYPES)))]
        kw_only = draw(st.booleans())
        given = draw(st.sampled_from(["nothing", "default", "factory"]))
        options: dict[str, Any] = {"kw_only": kw_only}
        if given == "default" or (optional and not kw_only and given == "nothing"):
            options["default"] = None
        elif given == "factory":
            options["default_factory"] = list[Any]
        optional = optional or (not kw_only and len(options) > 1)
        field: Any = dataclasses.field(**options)
        fields.append((f"field_{number}", annotation, field))
        values[f"field_{number}"] = strategy
    frozen, slots = draw(st.booleans()), draw(st.booleans())
    return dataclasses.make_dataclass("Made", fields, frozen=frozen, slots=slots), values


def attributes(value: Any) -> list[tuple[str, Any]]:
    names = list(getattr(value, "__dict__", ())) or [f.name for f in dataclasses.fields(value)]
    return [(name, getattr(value, name)) for name in names]


@given(st.data())
def test_decoding_makes_what_the_constructor_makes(data: st.DataObject) -> None:
    cls: Any
    cls, strategies = data.draw(classes())
    value = cls(**{name: data.draw(strategy) for name, strategy in strategies.items()})
    several: Any = list
    row: Any = tuple
    for annotation, whole in (
        (cls, value),
        (cls | None, value),
        (several[cls], [value, value]),
        (row[cls, int, cls], (value, 1, value)),
    ):
        codec = ValueCodec(annotation, "test")
        back = codec.decode(codec.encode(whole))
        assert back == whole
        made = back if whole is value else back[0]
        assert type(made) is cls
        assert attributes(made) == attributes(value)


@given(classes())
def test_frozen_classes_and_those_with_another_order_call_their_constructor(
    made: tuple[Any, Any],
) -> None:
    cls = made[0]
    keywords = [bool(field.kw_only) for field in dataclasses.fields(cls)]
    in_order = keywords == sorted(keywords)
    assert assignable(cls) == (in_order and not cls.__dataclass_params__.frozen)
