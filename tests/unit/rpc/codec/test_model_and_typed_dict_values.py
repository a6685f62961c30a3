"""Pydantic models, TypedDicts and aliases, as annotations of strings, generic and recursive."""

from __future__ import annotations

import decimal
from typing import Annotated, Any, Generic, NotRequired, Required, Self, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
import typing_extensions

import weaver
from weaver.errors import CodecError
from weaver.rpc.codec import ValueCodec
from weaver.rpc.codec.plan import Unsupported

T = TypeVar("T")


class Options(TypedDict):
    name: str
    size: NotRequired[int]
    price: Annotated[NotRequired[decimal.Decimal], "in euros"]


class Loose(TypedDict, total=False):
    key: Required[int]
    other: decimal.Decimal


class Branch(TypedDict):
    value: int
    branches: list[Branch]


class Holder(TypedDict, Generic[T]):
    item: T


class NamedHolder(Holder[list[T]], Generic[T]):
    name: T


class Extended(typing_extensions.TypedDict):
    a: int
    b: typing_extensions.NotRequired[decimal.Decimal]


class Update(pydantic.BaseModel):
    name: str | None = None
    price: decimal.Decimal | None = None
    _cached: int = pydantic.PrivateAttr(default=5)


class Box(pydantic.BaseModel, Generic[T]):
    item: T


class Names(pydantic.RootModel[list[str]]): ...


class Part(pydantic.BaseModel):
    number: int
    parts: list[Part] = []


class Contact(pydantic.BaseModel):
    home: pydantic.HttpUrl | None = None
    file: pydantic.FilePath | None = None


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int


class Wide(pydantic.BaseModel):
    text: str = ""


class Wider(Wide):
    more: int = 0


@weaver.component
class Shop:
    async def close(self) -> None: ...


class Count(int): ...


class Money(decimal.Decimal): ...


class Linked(msgspec.Struct):
    value: int
    following: Self | None = None


def there_and_back(annotation: Any, value: Any) -> Any:
    codec = ValueCodec(annotation, "it")
    return codec.decode(codec.encode(value))


ROUND_TRIPS: list[tuple[Any, Any]] = [
    (Options, {"name": "a"}),
    (Options, {"name": "a", "size": 2**70, "price": decimal.Decimal("1.10")}),
    (Loose, {"key": 1}),
    (Loose, {"key": 1, "other": decimal.Decimal(2)}),
    (Branch, {"value": 1, "branches": [{"value": 2, "branches": []}]}),
    (Holder[decimal.Decimal], {"item": decimal.Decimal(1)}),
    (NamedHolder[int], {"item": [1], "name": 2}),
    (Extended, {"a": 1}),
    (Extended | None, None),
    (list[Extended], [{"a": 1, "b": decimal.Decimal(1)}]),
    (Update, Update(price=decimal.Decimal(1))),
    (Box[int], Box[int](item=1)),
    (Box[Box[decimal.Decimal]], Box(item=Box(item=decimal.Decimal(1)))),
    (Names, Names(["a"])),
    (Part, Part(number=1, parts=[Part(number=2, parts=[Part(number=3)])])),
    (tuple[Part, Names, Branch], (Part(number=1), Names([]), {"value": 1, "branches": []})),
    (Open, Open(a=1)),
    (Wide | Wider | None, Wider(more=1)),
]


@pytest.mark.parametrize(("annotation", "value"), ROUND_TRIPS, ids=str)
def test_values_come_back(annotation: Any, value: Any) -> None:
    if annotation == Box[Box[decimal.Decimal]]:
        value = annotation(item=Box[decimal.Decimal](item=decimal.Decimal(1)))
    back = there_and_back(annotation, value)
    assert back == value
    assert type(back) is type(value)


def test_which_fields_were_set_is_kept() -> None:
    back = there_and_back(Update, Update(price=None))
    assert back.model_dump(exclude_unset=True) == {"price": None}
    assert back.model_fields_set == {"price"}
    assert back._cached == 5
    assert there_and_back(Part, Part(number=1)).model_fields_set == {"number"}


def test_mail_addresses_and_urls_travel() -> None:
    contact = Contact(home=pydantic.HttpUrl("http://a/b"))
    back = there_and_back(Contact, contact)
    assert back.home == contact.home
    assert type(back.home) is pydantic.HttpUrl
    assert there_and_back(list[pydantic.EmailStr], ["ada@example.org"]) == ["ada@example.org"]


REFUSED: list[tuple[Any, Any, str]] = [
    (Open, Open.model_validate({"a": 1, "z": 2}), "field `z`, which `Open` does not declare"),
    (Wide, Wider(), "`Wider`, a subclass of `Wide`"),
    (Wide, 3, "is `int`, expected `Wide`"),
    (Options, {"size": 1}, "required field `name`"),
    (Options, {"name": "a", "sise": 1}, "has the key `sise`"),
    (Branch, {"value": 1, "branches": [{"value": "x", "branches": []}]}, "`str`"),
    (int, Count(3), "`Count`, a subclass of `int`"),
    (decimal.Decimal, Money(3), "`Money`, a subclass of"),
]


@pytest.mark.parametrize(("annotation", "value", "reason"), REFUSED)
def test_what_would_be_lost_is_refused(annotation: Any, value: Any, reason: str) -> None:
    with pytest.raises(CodecError) as caught:
        there_and_back(annotation, value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Shop, "belongs to one component"),
        (list[Shop], "belongs to one component"),
        (Linked, "`Self` is no type of its own"),
        (tuple[int, *tuple[str, ...]], "any number of items"),
    ],
)
def test_what_is_no_value_is_refused_when_it_is_defined(annotation: Any, reason: str) -> None:
    with pytest.raises(Unsupported) as caught:
        ValueCodec(annotation, "it")
    assert reason in caught.value.reason
