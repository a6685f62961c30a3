"""When assignments may stand in for a constructor, and when only the class itself will do."""

import abc
import dataclasses
import enum
import functools
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest

from weaver.rpc.codec import ValueCodec, decode_exception, encode_exception
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


# --- the constructor must not run ---


@dataclasses.dataclass
class PostInit:
    a: int

    def __post_init__(self) -> None:
        self.a += 1


class PostInitLater(Plain):
    def __post_init__(self) -> None:
        self.a += 1


@dataclasses.dataclass
class NotGiven:
    a: int
    b: int = dataclasses.field(init=False, default=3)


@dataclasses.dataclass
class Extra:
    a: int
    b: dataclasses.InitVar[int]


@dataclasses.dataclass
class InheritsExtra(Extra):
    c: int


@dataclasses.dataclass
class OwnInit:
    a: int

    def __init__(self, a: int) -> None:
        self.a = a + 1


class InitLater(Plain):
    def __init__(self, a: int, b: str) -> None:
        super().__init__(a + 1, b)


@dataclasses.dataclass(init=False)
class NoInit:
    a: int


def decorated(init: Callable[..., None]) -> Callable[..., None]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.a += 1

    return wrapper


@dataclasses.dataclass
class Wrapped:
    a: int


Wrapped.__init__ = decorated(Wrapped.__init__)  # type: ignore[method-assign]


class Callback:
    def __call__(self, instance: Any, a: int) -> None:
        instance.a = a

    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        return functools.partial(self, instance)


@dataclasses.dataclass
class ObjectAsInit:
    a: int


ObjectAsInit.__init__ = Callback()  # type: ignore[method-assign,assignment] # pyright: ignore[reportAttributeAccessIssue]


@dataclasses.dataclass
class Executed:
    """Its `__init__` comes from generated source, as that of a dataclass, and does more."""

    a: int


_made: dict[str, Any] = {}
exec("def __init__(self, a):\n self.a=a+1", _made)
Executed.__init__ = _made["__init__"]  # type: ignore[method-assign]


@dataclasses.dataclass
class Swapped:
    a: int
    b: int


exec("def __init__(self, a, b):\n self.a=b\n self.b=a", _made)
Swapped.__init__ = _made["__init__"]  # type: ignore[method-assign]


@dataclasses.dataclass
class Misnamed:
    """Its `__init__` assigns an attribute that is no field, named as a twin's might be."""

    a: int


exec("def __init__(self, a):\n self.field_0=a", _made)
Misnamed.__init__ = _made["__init__"]  # type: ignore[method-assign]


@attrs.define
class Attrs:
    a: int


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    a: int


class Model(pydantic.BaseModel):
    a: int


class Color(enum.Enum):
    RED = 1


class CheckedStruct(msgspec.Struct):
    a: int

    def __post_init__(self) -> None:
        self.a += 1


UNKNOWN = [
    PostInit, PostInitLater, NotGiven, Extra, InheritsExtra, OwnInit, InitLater, NoInit, Wrapped,
    ObjectAsInit, Executed, Swapped, Misnamed, Attrs, PydanticDataclass, Model, Color,
    CheckedStruct, int,
]  # fmt: skip


@pytest.mark.parametrize("cls", UNKNOWN)
def test_a_constructor_that_may_do_more_is_not_trusted(cls: type[Any]) -> None:
    assert not assignable(cls)
    assert not only_assigns(cls)


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
FILLED = [
    PostInit(1), PostInitLater(1, "b"), NotGiven(1), OwnInit(1), InitLater(1, "b"), Wrapped(1),
    Executed(1), Swapped(1, 2), Attrs(1), PydanticDataclass(1), Model(a=1), CheckedStruct(1),
]  # fmt: skip


@pytest.mark.parametrize("value", [*MADE, *FILLED])
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


@pytest.mark.parametrize("value", [Record(1), CheckedStruct(1), Frozen(1), PostInit(1)])
def test_records_in_exceptions_come_back_without_their_constructor(value: Any) -> None:
    (back,) = decode_exception(encode_exception(ValueError(value))).args
    assert type(back) is type(value)
    assert back == value


def test_only_keywords_are_given_by_name() -> None:
    assert keyword_fields(KeywordsLast) == {"b"}
    assert keyword_fields(Plain) == set()
    assert keyword_fields(Record) == set()
