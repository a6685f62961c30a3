"""Records that contain themselves beside others, and generic ones that inherit generic ones."""

import dataclasses
from typing import Any, Generic, TypeVar

import attrs
import msgspec
import pydantic
import pytest

from weaver.rpc.codec import ValueCodec

T = TypeVar("T")
U = TypeVar("U")


@dataclasses.dataclass
class Node:
    value: int
    following: "Node | None" = None
    children: "list[Node]" = dataclasses.field(default_factory=list["Node"])


@attrs.define
class Link:
    value: int
    following: "Link | None" = None


class Cell(msgspec.Struct):
    value: int
    following: "Cell | None" = None


class Row(msgspec.Struct, array_like=True):
    value: int
    following: "Row | None" = None


class Model(pydantic.BaseModel):
    value: int
    following: "Model | None" = None


@dataclasses.dataclass
class Plain:
    code: str


@dataclasses.dataclass
class Both:
    node: Node
    plain: Plain
    link: Link


@dataclasses.dataclass
class Chicken:
    egg: "Egg | None" = None


@dataclasses.dataclass
class Egg:
    chicken: Chicken | None = None
    cell: Cell | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    item: T


@dataclasses.dataclass
class ListBox(Box[list[T]], Generic[T]):
    name: T


@dataclasses.dataclass
class Pair(Generic[T, U]):
    first: T
    second: U


@dataclasses.dataclass
class Swapped(Pair[U, T], Generic[T, U]):
    third: T


@dataclasses.dataclass
class Tree(Generic[T]):
    value: T
    left: "Tree[T] | None" = None


VALUES: list[tuple[Any, Any]] = [
    (tuple[Node, Plain], (Node(1, Node(2), [Node(3)]), Plain("a"))),
    (tuple[Plain, Node, Link, Cell, Row, Model, Plain],
     (Plain("a"), Node(1, Node(2)), Link(1, Link(2)), Cell(1, Cell(2)), Row(1, Row(2)),
      Model(value=1, following=Model(value=2)), Plain("b"))),
    (Node | Plain | Link, Node(1, Node(2))),
    (Node | Plain | Link, Link(1, Link(2))),
    (Node | Plain | Link, Plain("a")),
    (dict[str, Both], {"a": Both(Node(1, Node(2)), Plain("a"), Link(1, Link(2)))}),
    (tuple[Chicken, Plain], (Chicken(Egg(Chicken(), Cell(1, Cell(2)))), Plain("a"))),
    (ListBox[int], ListBox([1], 2)),
    (Swapped[int, str], Swapped("a", 1, 2)),
    (tuple[Tree[int], Tree[str]], (Tree(1, Tree(2)), Tree("a", Tree("b")))),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=str)
def test_values_come_back(annotation: Any, value: Any) -> None:
    codec = ValueCodec(annotation, "it")
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)
