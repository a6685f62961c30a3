"""Values that users seldom write: big keys, Literals beside others, fields of exceptions."""

import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import sys
import threading
import types
import uuid
import zoneinfo
from typing import Any, Literal, NamedTuple

import attrs
import msgspec
import pydantic
import pytest

from weaver.errors import CodecError, RemoteApplicationError
from weaver.rpc.codec import ValueCodec, decode_exception, encode_exception, register

NULL_LITERAL = Literal["a", 3, None] | None  # noqa: PYI061 # None among the values, and beside them

Few = Literal["a"]
More = Literal["b", 3]


def there_and_back(annotation: Any, value: Any) -> Any:
    codec = ValueCodec(annotation, "it")
    return codec.decode(codec.encode(value))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (dict[int, str], {1: "a", 2**70: "b", -(10**40): "c"}),
        (dict[int, dict[int, int]], {2**64: {2**65: 2**66, 1: 2}}),
        (list[dict[int, list[int]]], [{1: [2]}, {2**64: [2**64]}]),
        (collections.Counter[int], collections.Counter({2**70: 2})),
        (dict[int, str] | int, {2**70: "b"}),
    ],
    ids=str,
)
def test_integers_of_any_size_are_keys(annotation: Any, value: Any) -> None:
    assert there_and_back(annotation, value) == value


@pytest.mark.parametrize("value", ["a", 3, None])
def test_none_may_be_in_a_literal_and_beside_it(value: Any) -> None:
    assert there_and_back(NULL_LITERAL, value) == value


@pytest.mark.parametrize("value", ["a", "b", 3, 4.5])
def test_literals_of_one_union_are_one(value: Any) -> None:
    assert there_and_back(Few | More | float, value) == value


# --- exceptions ---


class Color(enum.Enum):
    RED = "r"


class Right(enum.IntFlag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: decimal.Decimal


@attrs.frozen
class Ticket:
    number: int
    _seat: str | None = None


class Order(pydantic.BaseModel):
    items: list[str]


class Frame(msgspec.Struct):
    order: Order
    ticket: Ticket


class Temperature:
    def __init__(self, kelvin: float) -> None:
        self.kelvin = kelvin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Temperature) and other.kelvin == self.kelvin

    def __hash__(self) -> int:
        return hash(self.kelvin)

    def __repr__(self) -> str:
        return f"Temperature({self.kelvin})"


def to_wire(value: Temperature) -> float:
    return value.kelvin


register(Temperature, to_wire, Temperature)


@dataclasses.dataclass
class Late:
    known: int
    later: int = dataclasses.field(init=False)


class ShopError(Exception):
    field: Any
    other: Any

    def __init__(self, **fields: Any) -> None:
        super().__init__("shop")
        self.__dict__.update(fields)


def travel(error: BaseException) -> BaseException:
    return decode_exception(encode_exception(error), where="Shop.buy")


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
FIELDS: list[Any] = [
    bytearray(b"x"), memoryview(b"x"), 1 + 2j, 2**100, decimal.Decimal("1.10"), uuid.UUID(int=1),
    datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), datetime.date(2020, 1, 1),
    datetime.time(1, 2, tzinfo=datetime.UTC), datetime.timedelta(-1, 2), BERLIN,
    datetime.timezone(datetime.timedelta(hours=1), "X"), pathlib.Path("/a"),
    pathlib.PureWindowsPath("C:/a"), ipaddress.ip_address("::1"),
    ipaddress.ip_network("10.0.0.0/8"), Color.RED, Right.READ | Right.WRITE,
    collections.deque([1, 2], 5), collections.Counter("aab"),
    collections.OrderedDict(b=1, a=2), collections.defaultdict(list, {"a": [1]}),
    Point(1, decimal.Decimal(2)), Ticket(1, "b"), Order(items=["a"]),
    Frame(Order(items=[]), Ticket(2)), Temperature(3.5),
    {Temperature(1.5): [Point(1, decimal.Decimal(0))]},
]  # fmt: skip


def _name(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("value", FIELDS, ids=_name)
def test_what_can_be_an_argument_can_be_a_field_of_an_exception(value: Any) -> None:
    back: Any = travel(ShopError(field=value, other=7))
    assert type(back) is ShopError
    assert type(back.field) is type(value)
    assert back.field == value
    for name in ("fold", "tzinfo", "maxlen", "default_factory"):
        assert getattr(back.field, name, None) is getattr(value, name, None)
    assert back.other == 7


LOST: list[Any] = [
    threading.Lock(), Late(1), collections.defaultdict(threading.Lock), object(), [print],
]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    LOST,
    ids=["lock", "unset field", "factory", "object", "callable"],
)
def test_a_field_that_cannot_travel_never_hides_the_error(value: object) -> None:
    back: Any = travel(ShopError(field=value, other=7))
    assert type(back) is ShopError
    assert back.other == 7
    assert not hasattr(back, "field")
    assert "field" in back.__notes__[0]


def test_a_field_whose_class_is_unknown_here_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("elsewhere")
    cls = dataclasses.make_dataclass("Thing", [("x", int)])
    cls.__module__ = "elsewhere"
    module.Thing = cls  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    body = encode_exception(ShopError(field=cls(1), other=7))
    group = encode_exception(ExceptionGroup("many", [ShopError(field=cls(1))]))
    argument = encode_exception(Exception(cls(1)))
    monkeypatch.delitem(sys.modules, "elsewhere")
    back: Any = decode_exception(body)
    assert type(back) is ShopError
    assert back.other == 7
    assert "field" in back.__notes__[0]
    assert type(decode_exception(group)) is ExceptionGroup
    assert isinstance(decode_exception(argument), RemoteApplicationError)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (list[int], "x", "it is `str`, expected `list[int]`"),
        (dict[str, list[int]], {"a": {}}, "it[…] is `dict`, expected `list[int]`"),
        (tuple[int, dict[str, int]], (1, [2]), "it[1] is `list`, expected `dict[str, int]`"),
        (list[str], [None], "it[0] is `None`, expected `str`"),
    ],
    ids=str,
)
def test_messages_speak_of_the_annotation(annotation: Any, value: Any, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        there_and_back(annotation, value)
    assert caught.value.what == message
