"""Every supported type comes back equal and of the same class."""

import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import uuid
import zoneinfo
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)  # fmt: skip

import attrs
import msgspec
import pydantic
import pytest

from weaver.rpc.codec import ValueCodec, register

T = TypeVar("T")
OLD_UNION = Union[int, float, decimal.Decimal]  # noqa: UP007 # the old form is supported
NULL_LITERAL = Literal[1, "1", True, None]  # noqa: PYI061 # None among the values, as users write
UserId = NewType("UserId", str)


class Color(enum.Enum):
    RED = "r"
    BLUE = ("b", 1)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Money:
    currency: str
    units: int


@dataclasses.dataclass
class Item:
    name: str
    price: Money
    tags: list[str] = dataclasses.field(default_factory=list[str])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    user: str
    shard: int = 0


@dataclasses.dataclass
class Checked:
    value: int
    seen: list[int] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.seen = [self.value]


@dataclasses.dataclass
class Tree:
    name: str
    children: list["Tree"] = dataclasses.field(default_factory=list["Tree"])
    left: Optional["Tree"] = None


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


@dataclasses.dataclass
class Sub(Money):
    note: str = ""


@attrs.define
class Point:
    x: int
    _hidden: str = "h"


@attrs.frozen
class Frozen:
    x: int


class Plain(msgspec.Struct):
    name: str
    price: Money


class Positional(msgspec.Struct, array_like=True):
    name: str
    size: int = 3


class Tagged(msgspec.Struct, tag="t"):
    name: str


class Model(pydantic.BaseModel):
    name: str
    price: Money
    size: int = 3


class Pair(NamedTuple):
    left: int
    right: Money


class Movie(TypedDict):
    title: str
    rating: NotRequired[Money]


class Version:
    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def version_to_wire(version: Version) -> str:
    return version.text


register(Version, version_to_wire, Version)

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
MOMENT = datetime.datetime(2024, 11, 3, 1, 30, 5, 123456)  # noqa: DTZ001 # naive ones travel too
MONEY = Money("USD", 3)

CASES: list[tuple[Any, Any]] = [
    (None, None),
    (bool, True),
    (int, -5),
    (int, 2**70),
    (int, -(2**2000)),
    (float, 1.5),
    (float, float("inf")),
    (complex, 1 - 2.5j),
    (str, "gr\u00fc\u00df\x00"),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"ab")),
    (decimal.Decimal, decimal.Decimal("1.10")),
    (decimal.Decimal, decimal.Decimal("Infinity")),
    (datetime.datetime, MOMENT),
    (datetime.datetime, MOMENT.replace(tzinfo=datetime.UTC)),
    (datetime.datetime, MOMENT.replace(tzinfo=NEW_YORK, fold=1)),
    (datetime.datetime, MOMENT.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-3)))),
    (datetime.date, MOMENT.date()),
    (datetime.time, MOMENT.time()),
    (datetime.time, datetime.time(1, 2, tzinfo=datetime.UTC)),
    (datetime.timedelta, datetime.timedelta(days=-1, microseconds=7)),
    (datetime.timezone, datetime.UTC),
    (datetime.timezone, datetime.timezone(datetime.timedelta(minutes=90), "odd")),
    (zoneinfo.ZoneInfo, NEW_YORK),
    (uuid.UUID, uuid.UUID(int=7)),
    (Color, Color.RED),
    (Color, Color.BLUE),
    (Level, Level.HIGH),
    (Rights, Rights.READ | Rights.WRITE),
    (pathlib.Path, pathlib.Path("/a/b")),
    (pathlib.PurePosixPath, pathlib.PurePosixPath("a")),
    (pathlib.PureWindowsPath, pathlib.PureWindowsPath("C:/a")),
    (ipaddress.IPv4Address, ipaddress.ip_address("10.0.0.1")),
    (ipaddress.IPv6Network, ipaddress.ip_network("2001:db8::/32")),
    (ipaddress.IPv4Interface, ipaddress.ip_interface("10.0.0.1/8")),
    (list[int], [1, 2]),
    (list[int], [1, 2**80]),
    (list[Money], [MONEY, Money("EUR", 2**80)]),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[()], ()),
    (tuple[Money, int], (MONEY, 1)),
    (tuple[Money, ...], (MONEY,)),
    (set[int], {1, 2}),
    (set[Key], {Key(user="a")}),
    (frozenset[str], frozenset({"a"})),
    (frozenset[uuid.UUID], frozenset({uuid.UUID(int=1)})),
    (dict[str, int], {"a": 1}),
    (dict[int, Money], {1: MONEY}),
    (dict[tuple[int, str], str], {(1, "a"): "x"}),
    (dict[Key, Money], {Key(user="a", shard=2): MONEY}),
    (dict[Color, list[int]], {Color.RED: [1]}),
    (Sequence[int], [1]),
    (Mapping[str, Money], {"a": MONEY}),
    (AbstractSet[int], {1}),
    (collections.deque[int], collections.deque([1, 2], maxlen=5)),
    (collections.deque[Money], collections.deque([MONEY])),
    (collections.defaultdict[str, int], collections.defaultdict(int, {"a": 1})),
    (collections.defaultdict[str, list[Money]], collections.defaultdict(list, {"a": [MONEY]})),
    (collections.OrderedDict[str, int], collections.OrderedDict([("b", 1), ("a", 2)])),
    (collections.Counter[str], collections.Counter("abca")),
    (int | None, None),
    (Money | None, MONEY),
    (Optional[list[Money]], [MONEY]),  # noqa: UP045 # the old form is supported
    (int | str | None, "x"),
    (OLD_UNION, decimal.Decimal("1.0")),
    (int | float, 1),
    (str | uuid.UUID, uuid.UUID(int=3)),
    (str | uuid.UUID, "3"),
    (str | datetime.datetime, MOMENT),
    (list[int] | set[int], {1}),
    (list[int] | tuple[int, ...], (1,)),
    (Money | Item, Item("a", MONEY)),
    (Money | Sub | None, Sub("EUR", 1, "n")),
    (Money | Sub | None, Money("EUR", 1)),
    (bytes | str, b"x"),
    (bytes | bytearray, bytearray(b"x")),
    (bool | int, True),
    (Literal["a", "b"], "b"),
    (NULL_LITERAL, True),
    (NULL_LITERAL, 1),
    (NULL_LITERAL, None),
    (Literal[Color.RED], Color.RED),
    (UserId, UserId("u")),
    (Annotated[int, "doc"], 3),
    (Money, MONEY),
    (Item, Item("a", MONEY, ["t"])),
    (list[Item], [Item("a", MONEY), Item("b", Money("EUR", 1), ["x"])]),
    (Key, Key(user="a")),
    (Checked, Checked(4)),
    (Tree, Tree("a", [Tree("b", [Tree("c")])], Tree("d"))),
    (Box[int], Box(3)),
    (Box[Money], Box(MONEY)),
    (list[Box[Box[Money]]], [Box(Box(MONEY))]),
    (Point, Point(1, "x")),
    (Frozen, Frozen(1)),
    (Plain, Plain("a", MONEY)),
    (Positional, Positional("a")),
    (list[Positional], [Positional("a", 2)]),
    (Tagged, Tagged("a")),
    (Plain | Tagged, Tagged("a")),
    (Model, Model(name="a", price=MONEY)),
    (Pair, Pair(1, MONEY)),
    (Movie, {"title": "x"}),
    (Movie, {"title": "x", "rating": MONEY}),
    (Version, Version("1.2")),
    (list[Version], [Version("1")]),
    (dict[Version, int], {Version("1"): 1}),
]


@pytest.mark.parametrize(
    ("annotation", "value"), CASES, ids=[f"{i}-{a}" for i, (a, _) in enumerate(CASES)]
)
def test_values_come_back_as_they_went(annotation: Any, value: Any) -> None:
    codec = ValueCodec(annotation, "test")
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)


def test_inner_classes_are_kept_too() -> None:
    codec = ValueCodec(list[Item], "test")
    (back,) = codec.decode(codec.encode([Item("a", MONEY)]))
    assert type(back.price) is Money
    assert back.tags == []


def test_memoryview_comes_back_as_a_view_of_the_same_bytes() -> None:
    codec = ValueCodec(memoryview, "test")
    back = codec.decode(codec.encode(memoryview(b"abc")))
    assert back.__class__ is memoryview
    assert bytes(back) == b"abc"


def test_deque_and_defaultdict_keep_what_makes_them_special() -> None:
    codec = ValueCodec(collections.deque[int], "test")
    assert codec.decode(codec.encode(collections.deque([1], maxlen=2))).maxlen == 2
    maps = ValueCodec(collections.defaultdict[str, list[int]], "test")
    back = maps.decode(maps.encode(collections.defaultdict(list)))
    assert back["new"] == []


def test_a_time_zone_keeps_its_key_and_fold() -> None:
    codec = ValueCodec(datetime.datetime, "test")
    back = codec.decode(codec.encode(MOMENT.replace(tzinfo=NEW_YORK, fold=1)))
    assert back.tzinfo is NEW_YORK
    assert back.fold == 1


def test_rebuilding_runs_no_constructor_with_effects() -> None:
    codec = ValueCodec(Checked, "test")
    value = Checked(1)
    value.seen.append(9)
    assert codec.decode(codec.encode(value)).seen == [1, 9]


def test_exactly_bytes_skips_the_codec() -> None:
    codec = ValueCodec(bytes, "test")
    body = b"raw"
    assert codec.encode(body) is body


def test_no_field_names_travel() -> None:
    for annotation, value in ((Item, Item("a", MONEY)), (Plain, Plain("a", MONEY))):
        body = ValueCodec(annotation, "test").encode(value)
        assert b"price" not in body
        assert b"currency" not in body
