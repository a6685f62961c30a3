"""When assignments may stand in for a constructor, and when only the class itself will do."""

import abc
import dataclasses
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import msgspec
import pytest

from weaver.rpc.codec import ValueCodec
from weaver.rpc.codec.constructors import assignable, keyword_fields, only_assigns

T = TypeVar("T")


@dataclasses.dataclass
class Plain:
    a: int
    b: str = "x"
    kind: ClassVar[str] = "plain"


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int
    b: str


@dataclasses.dataclass
class WithFactory:
    a: int
    b: list[int] = dataclasses.field(default_factory=list[int])


@dataclasses.dataclass
class KeywordsLast:
    a: int
    b: int = dataclasses.field(kw_only=True)


@dataclasses.dataclass
class Derived(Plain):
    c: float = 0.0


class Undecorated(Plain):
    def method(self) -> int:
        return self.a


@dataclasses.dataclass
class WithBase(abc.ABC):
    a: int


@dataclasses.dataclass
class Of(Generic[T]):
    a: T


@dataclasses.dataclass
class NamedSelf:
    self: int


@dataclasses.dataclass
class Cached:
    a: int

    def __init_subclass__(cls) -> None:
        raise AssertionError("a twin of the class must not derive from it")


@dataclasses.dataclass
class Empty:
    pass


PROVED = [
    Plain, Slotted, WithFactory, KeywordsLast, Derived, Undecorated, WithBase, Of, NamedSelf,
    Cached, Empty,
]  # fmt: skip


@pytest.mark.parametrize("cls", PROVED)
def test_a_generated_constructor_may_be_replaced_by_assignments(cls: type[Any]) -> None:
    assert assignable(cls)
    assert only_assigns(cls)


# --- only the constructor will do ---


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: int


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlotted:
    a: int


@dataclasses.dataclass
class OwnSetattr:
    a: int

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


@dataclasses.dataclass
class InheritsSetattr(OwnSetattr):
    b: int


@dataclasses.dataclass
class OwnNew:
    a: int

    def __new__(cls, *_args: Any) -> Self:
        return object.__new__(cls)


class Descriptor:
    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.place = f"_{name}"

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> int:
        return 7 if instance is None else int(instance.__dict__[self.place])

    def __set__(self, instance: Any, value: int) -> None:
        vars(instance)[self.place] = value * 2


@dataclasses.dataclass
class Described:
    a: Any = Descriptor()  # the documented way to have a descriptor in a dataclass


@dataclasses.dataclass
class Propertied:
    a: int


Propertied.a = property(lambda _self: 1, lambda _self, _value: None)  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]


@dataclasses.dataclass
class KeywordsFirst:
    a: int = dataclasses.field(kw_only=True)
    b: int


class Meta(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)


@dataclasses.dataclass
class WithMeta(metaclass=Meta):
    a: int


@dataclasses.dataclass
class Failure(Exception):  # a dataclass whose base has a `__new__`
    a: int


class Pair(NamedTuple):
    a: int
    b: int


class Record(msgspec.Struct):
    a: int


CALLED = [
    Frozen, FrozenSlotted, OwnSetattr, InheritsSetattr, OwnNew, Described, Propertied,
    KeywordsFirst, WithMeta, Failure, Pair, Record,
]  # fmt: skip


@pytest.mark.parametrize("cls", CALLED)
def test_where_more_than_assignments_happens_the_constructor_is_called(cls: type[Any]) -> None:
    assert not assignable(cls)
    assert only_assigns(cls)


# --- what comes out ---


@dataclasses.dataclass
class DescribedNumber:
    a: int = Descriptor()  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]


MADE = [
    Plain(1, "b"), Slotted(1, "b"), WithFactory(1, [2]), KeywordsLast(1, b=2), Derived(1, "b", 2.5),
    Undecorated(1, "b"), WithBase(1), NamedSelf(1), Cached(1), Empty(), Frozen(1),
    FrozenSlotted(1), OwnSetattr(1), InheritsSetattr(1, 2), OwnNew(1), KeywordsFirst(2, a=1),
    WithMeta(1), Pair(1, 2), Record(1),
]  # fmt: skip


@pytest.mark.parametrize("value", MADE)
def test_each_of_them_comes_back_as_it_was(value: Any) -> None:
    codec = ValueCodec(type(value), "value")
    back = codec.decode(codec.encode(value))
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize("value", MADE)
def test_attributes_stand_in_the_order_of_the_constructor(value: Any) -> None:
    codec = ValueCodec(type(value), "value")
    back = codec.decode(codec.encode(value))
    assert list(getattr(back, "__dict__", {}).items()) == list(
        getattr(value, "__dict__", {}).items()
    )


def test_a_descriptor_is_given_the_value_once() -> None:
    codec = ValueCodec(DescribedNumber, "value")
    assert vars(codec.decode(codec.encode(DescribedNumber(3)))) == {"_a": 12}


def test_only_keywords_are_given_by_name() -> None:
    assert keyword_fields(KeywordsLast) == {"b"}
    assert keyword_fields(Plain) == set()
    assert keyword_fields(Record) == set()
