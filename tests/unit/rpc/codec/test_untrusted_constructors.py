"""A constructor that may do more than assign is not run; its instances come back as they were."""

import dataclasses
import enum
import functools
from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest

from weaver.rpc.codec import ValueCodec, decode_exception, encode_exception
from weaver.rpc.codec.constructors import assignable, only_assigns


@dataclasses.dataclass
class Plain:
    a: int
    b: str = "x"


class Record(msgspec.Struct):
    a: int


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


def generated(parameters: str, *statements: str) -> Any:
    """An `__init__` that comes from source, inside a function, as those that `dataclass` makes."""
    lines = [f"  {statement}" for statement in statements]
    made: dict[str, Any] = {}
    exec("\n".join(["def make():", f" def init({parameters}):", *lines, " return init"]), made)
    return made["make"]()


@dataclasses.dataclass
class Changed:
    a: int


Changed.__init__ = generated("self, a", "self.a=a+1")  # type: ignore[method-assign]


@dataclasses.dataclass
class Swapped:
    a: int
    b: int


Swapped.__init__ = generated("self, a, b", "self.a=b", "self.b=a")  # type: ignore[method-assign]


@dataclasses.dataclass
class Misnamed:
    """It assigns an attribute that is no field, named as a twin's might be."""

    a: int


Misnamed.__init__ = generated("self, a", "self.field_0=a")  # type: ignore[method-assign]


@dataclasses.dataclass
class MoreOptional:
    a: int


MoreOptional.__init__ = generated("self, a, more=0", "self.a=a")  # type: ignore[method-assign]


@dataclasses.dataclass
class Crossed:
    """Its parameters stand in another order than its fields."""

    a: int
    b: int


Crossed.__init__ = generated("self, b, a", "self.a=b", "self.b=a")  # type: ignore[method-assign]


@dataclasses.dataclass
class AsGenerated:
    a: int


AsGenerated.__init__ = generated("self, a", "self.a=a")  # type: ignore[method-assign]


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
    ObjectAsInit, Changed, Swapped, Misnamed, MoreOptional, Crossed, Attrs, PydanticDataclass,
    Model, Color, CheckedStruct, int,
]  # fmt: skip


@pytest.mark.parametrize("cls", UNKNOWN)
def test_a_constructor_that_may_do_more_is_not_trusted(cls: type[Any]) -> None:
    assert not assignable(cls)
    assert not only_assigns(cls)


def test_a_constructor_equal_to_a_generated_one_is_trusted() -> None:
    assert assignable(AsGenerated)


FILLED = [
    PostInit(1), PostInitLater(1, "b"), NotGiven(1), OwnInit(1), InitLater(1, "b"), Wrapped(1),
    Changed(1), Swapped(1, 2), Crossed(1, 2), MoreOptional(1), Attrs(1), PydanticDataclass(1),
    Model(a=1), CheckedStruct(1),
]  # fmt: skip


@pytest.mark.parametrize("value", FILLED)
def test_their_instances_come_back_as_they_were(value: Any) -> None:
    codec = ValueCodec(type(value), "value")
    back = codec.decode(codec.encode(value))
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize("value", [Plain(1), Record(1), CheckedStruct(1), PostInit(1)])
def test_records_in_exceptions_come_back_without_their_constructor(value: Any) -> None:
    (back,) = decode_exception(encode_exception(ValueError(value))).args
    assert type(back) is type(value)
    assert back == value
