"""What cannot travel is refused when it is defined; what does not fit, when it is called."""

import asyncio
import collections
import dataclasses
import inspect
import socket
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, Generic, NewType, TypedDict, TypeVar

import msgspec
import pytest

import weaver
from weaver.errors import CodecError
from weaver.rpc.codec import ValueCodec, compile_arguments, supported

T = TypeVar("T")
A = NewType("A", str)
B = NewType("B", str)


@dataclasses.dataclass
class Money:
    currency: str
    units: int


@dataclasses.dataclass
class Item:
    name: str
    price: Money


@dataclasses.dataclass
class Dear(Money):
    why: str = ""


class Shape(msgspec.Struct, array_like=True):
    name: str


class Circle(Shape, array_like=True):
    radius: int = 1


@dataclasses.dataclass
class Holder:
    lock: threading.Event


@dataclasses.dataclass
class Outer:
    count: int
    holders: list[Holder]


class Sockets(TypedDict):
    open: dict[str, socket.socket]


class Left(TypedDict):
    a: int


class Right(TypedDict):
    b: int


@dataclasses.dataclass
class Node:
    next: "Node | None" = None


REFUSED: list[tuple[Any, str]] = [
    (Any, "does not say what the value is"),
    (object, "does not say what the value is"),
    (list, "does not say what it contains"),
    (dict, "does not say what it contains"),
    (list[Any], "does not say what the value is"),
    (Callable[[], None], "a callable lives in one process"),
    (Iterator[int], "yields its items in one process"),
    (Generator[int, None, None], "yields its items in one process"),
    (AsyncIterator[int], "yields its items in one process"),
    (threading.Event, "`Event` has no codec"),
    (threading.Lock, "`threading.Lock` has no codec"),
    (threading.RLock, "`threading.RLock` has no codec"),
    (list[threading.Lock], "`threading.Lock` has no codec"),
    (3, "`3` is no type"),
    ([int], "`[<class 'int'>]` is no type"),
    (asyncio.Lock, "has no codec"),
    (socket.socket, "has no codec"),
    (Holder, "Holder.lock: `Event` has no codec"),
    (list[Outer], "Holder.lock: `Event` has no codec"),
    (Sockets, 'Sockets["open"]: `socket` has no codec'),
    (ValueError, "travels when it is raised"),
    (T, "stands for no type"),
    (weaver.Secret[str], "belongs to one component"),
    (list[int] | list[str], "cannot be told apart"),
    (A | B, "cannot be told apart"),
    (Left | Right, "cannot be told apart"),
]


@pytest.mark.parametrize(
    ("annotation", "reason"), REFUSED, ids=[str(i) for i in range(len(REFUSED))]
)
def test_types_that_cannot_travel_are_refused_with_a_fix(annotation: Any, reason: str) -> None:
    found = supported(annotation)
    assert found is not None
    assert reason in found.reason
    assert found.fix


WRONG: list[tuple[Any, Any, str]] = [
    (int, "x", "is `str`, expected `int`"),
    (str, 3, "is `int`, expected `str`"),
    (bytes, "x", "is `str`, expected `bytes`"),
    (list[int], [1, "x"], "[1]"),
    (list[Money], [Money("a", 1), "x"], "[1] is `str`, expected `Money`"),
    (Item, Item("a", Money("b", "x")), ".price.units"),  # type: ignore[arg-type]
    (dict[str, Money], {"k": Money("b", 1), "l": 3}, "['l'] is `int`"),
    (Money, Dear("a", 1), "is `Dear`, a subclass of `Money`"),
    (list[Item], [Item("a", Dear("b", 1))], "[0].price is `Dear`, a subclass of `Money`"),
    (Shape, Circle("a"), "is `Circle`, a subclass of `Shape`"),
    (list[Shape], [Shape("a"), Circle("a")], "[1] is `Circle`"),
    (int | str, 1.5, "is `float`, expected"),
    (Money | Item, 3, "is `int`, expected one of `Money | Item`"),
    (collections.defaultdict[str, int], collections.defaultdict(lambda: 3), "default factory"),
    (tuple[int, int], (1, 2, 3), "of length 2, got 3"),
    (Left, {"b": 1}, "lacks the key `a`"),
    (Left, {"a": 1, "b": 1}, "has the key `b`"),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), WRONG, ids=[str(i) for i in range(len(WRONG))]
)
def test_values_that_do_not_fit_are_named(annotation: Any, value: Any, expected: str) -> None:
    codec = ValueCodec(annotation, "Cart.add: argument `item`")
    with pytest.raises(CodecError) as caught:
        codec.decode(codec.encode(value))
    assert "Cart.add: argument `item" in str(caught.value)
    assert expected in str(caught.value).replace("` is", " is", 1)


def test_the_place_within_an_argument_stands_with_its_name() -> None:
    def add(item: Item, count: int) -> None: ...

    codec = compile_arguments(inspect.signature(add), method="Cart.add")
    with pytest.raises(CodecError, match=r"Cart\.add: argument `item\.price\.units`"):
        codec.decode(codec.encode((Item("a", Money("b", "x")), 1), {}))  # type: ignore[arg-type]
    with pytest.raises(CodecError, match=r"Cart\.add: argument `count`"):
        codec.decode(codec.encode((Item("a", Money("b", 1)), "1"), {}))
    with pytest.raises(TypeError, match=r"Cart\.add\(\) missing a required argument: 'count'"):
        codec.encode((Item("a", Money("b", 1)),), {})


def test_arguments_of_every_kind_come_back() -> None:
    def call(a: int, /, b: str = "x", *rest: Money, c: bool = True, **more: int) -> None: ...

    codec = compile_arguments(inspect.signature(call), method="call")
    money = Money("a", 1)
    for args, kwargs in (
        ((1,), {}),
        ((1, "y"), {}),
        ((1, "y", money, money), {"c": False, "z": 3}),
        ((1,), {"b": "y", "q": 2**70}),
    ):
        back_args, back_kwargs = codec.decode(codec.encode(args, kwargs))
        bound = inspect.signature(call).bind(*args, **kwargs)
        again = inspect.signature(call).bind(*back_args, **back_kwargs)
        assert bound.arguments == again.arguments


def test_a_value_that_contains_itself_is_refused() -> None:
    node = Node()
    node.next = node
    with pytest.raises(CodecError, match=r"too deep|contains itself"):
        ValueCodec(Node, "test").encode(node)
    items: list[Any] = []
    items.append(items)
    with pytest.raises(CodecError):
        ValueCodec(list[list[int]], "test").encode(items)


def test_a_deeply_nested_value_is_refused_on_both_sides() -> None:
    node = Node()
    for _ in range(100_000):
        node = Node(node)
    codec = ValueCodec(Node, "test")
    with pytest.raises(CodecError):
        codec.encode(node)
    with pytest.raises(CodecError):
        ValueCodec(list[int], "test").decode(b"\x91" * 100_000 + b"\x01")
    while node.next is not None:  # taken apart by hand: its own destructor would recurse
        node = node.next


def test_the_fix_for_a_lock_names_it_as_it_is_written() -> None:
    found = supported(threading.Lock)
    assert found is not None
    assert "weaver.codec(threading.Lock, to_wire, from_wire)" in found.fix


def test_a_generic_component_parameter_needs_its_type() -> None:
    @dataclasses.dataclass
    class Box(Generic[T]):
        content: T

    found = supported(Box)
    assert found is not None
