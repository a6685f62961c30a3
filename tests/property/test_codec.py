"""Any value of any supported type comes back equal and of its class."""

import dataclasses
import datetime
import decimal
import uuid
from collections import deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from weaver.rpc.codec import ValueCodec, decode_exception, encode_exception


@dataclasses.dataclass(frozen=True)
class Leaf:
    a: int
    b: str


@dataclasses.dataclass
class Branch:
    leaf: Leaf
    leaves: list[Leaf]
    by_name: dict[str, Leaf | None]


SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (str, st.text()),
    (bytes, st.binary()),
    (bool, st.booleans()),
    (None, st.none()),
    (complex, st.complex_numbers(allow_nan=False)),
    (decimal.Decimal, st.decimals(allow_nan=False)),
    (uuid.UUID, st.uuids()),
    (datetime.datetime, st.datetimes(timezones=st.none() | st.just(datetime.UTC))),
    (datetime.date, st.dates()),
    (datetime.time, st.times()),
    (datetime.timedelta, st.timedeltas()),
    (Leaf, st.builds(Leaf, st.integers(), st.text())),
]

Typed = tuple[Any, st.SearchStrategy[Any]]


def any_typed() -> st.SearchStrategy[Typed]:
    return st.sampled_from(SCALARS) | made()


typed = st.deferred(any_typed)


def generic(origin: Any, *args: Any) -> Any:
    return origin[args]


@st.composite
def made(draw: st.DrawFn) -> Typed:
    inner: Any
    inner, values = draw(typed)
    kind = draw(st.sampled_from(["list", "tuple", "optional", "dict", "fixed", "deque", "branch"]))
    options: dict[str, Typed] = {
        "list": (generic(list, inner), st.lists(values, max_size=4)),
        "tuple": (generic(tuple, inner, ...), st.lists(values, max_size=4).map(tuple)),
        "optional": (inner | None if inner is not None else inner, values),
        "dict": (generic(dict, str, inner), st.dictionaries(st.text(), values, max_size=4)),
        "fixed": (generic(tuple, inner, int), st.tuples(values, st.integers())),
        "deque": (generic(deque, inner), st.lists(values, max_size=4).map(deque)),
        "branch": (Branch, st.builds(
            Branch, leaf=SCALARS[-1][1], leaves=st.lists(SCALARS[-1][1], max_size=3),
            by_name=st.dictionaries(st.text(), st.none() | SCALARS[-1][1], max_size=3))),
    }  # fmt: skip
    return options[kind]


def same(left: Any, right: Any) -> bool:
    """Equal, of one class, and so all the way down."""
    if type(left) is not type(right) or left != right:
        return False
    if isinstance(left, (list, tuple, deque)):
        items: list[Any] = [*left]  # pyright: ignore[reportUnknownArgumentType] # Any narrowed
        return all(same(a, b) for a, b in zip(items, right, strict=True))
    if isinstance(left, dict):
        return all(same(value, right[key]) for key, value in left.items())  # pyright: ignore[reportUnknownVariableType]
    return True


@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    annotation, values = data.draw(typed)
    codec = ValueCodec(annotation, "test")
    value = data.draw(values)
    assert same(value, codec.decode(codec.encode(value)))


plain = st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.text(), plain)
def test_exceptions_round_trip(text: str, value: Any) -> None:
    error = ValueError(text, value)
    error.__dict__["extra"] = value
    back: Any = decode_exception(encode_exception(error))
    assert back.__class__ is ValueError
    assert back.args == (text, value)
    assert same(back.__dict__["extra"], value)
