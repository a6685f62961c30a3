"""What a declared class is taken to be, and every fault that is reported of it."""

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import pytest

import weaver
from weaver.component import registry
from weaver.component.describe import inspect_component
from weaver.component.model import Component
from weaver.errors import Problem, UsageError


def describe(cls: type[Any]) -> tuple[Component, list[Problem]]:
    declaration = registry.declaration_of(cls)
    assert declaration is not None
    return inspect_component(declaration)


def only_problem(cls: type[Any]) -> Problem:
    _, problems = describe(cls)
    assert len(problems) == 1, problems
    return problems[0]


@weaver.component
class Other:
    async def ping(self) -> str:
        return "pong"


class Store(Protocol):
    async def load(self) -> str: ...


@dataclass
class Settings:
    size: int = 1


def test_fields_get_their_roles_from_their_types() -> None:
    class Options(msgspec.Struct):
        size: int = 1

    @weaver.component
    class Cart:
        other: Other
        store: Store
        config: Options
        token: weaver.Secret[str]
        http: weaver.Listener
        items: dict[str, int]
        limit: int = 3
        shared: Other | None = None
        _private: Other

    component, problems = describe(Cart)
    assert problems == []
    roles = {f.name: (f.role, f.type) for f in component.fields}
    assert roles == {
        "other": ("reference", Other),
        "store": ("reference", Store),
        "config": ("config", Options),
        "token": ("secret", str),
        "http": ("listener", weaver.Listener),
    }


def test_methods_have_kinds_and_marks() -> None:
    @weaver.component
    class Cart:
        @weaver.routed(by="user")
        @weaver.idempotent
        async def get(self, user: str) -> list[int]:
            return []

        async def watch(self, n: int = 1) -> AsyncIterator[int]:
            yield n

        def report(self) -> bytes:
            return b""

        async def start(self) -> None: ...

        def _private(self) -> None: ...

    component, problems = describe(Cart)
    assert problems == []
    kinds = {m.name: (m.kind, m.routed_by, m.idempotent, m.result) for m in component.methods}
    assert kinds == {
        "get": ("async", "user", True, list[int]),
        "watch": ("stream", None, False, int),
        "report": ("plain", None, False, bytes),
    }
    assert component.hooks == {"start"}


def test_inherited_methods_belong_to_the_component() -> None:
    class Mixin:
        async def ping(self) -> str:
            return "pong"

    @weaver.component
    class Cart(Mixin): ...

    component, _ = describe(Cart)
    assert [m.name for m in component.methods] == ["ping"]


def test_all_faults_of_a_class_are_reported_at_once_with_their_places() -> None:
    @weaver.component
    class Cart:
        missing: "Catalgo"  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable, reportUnknownVariableType]

        async def get(self, user) -> str:  # type: ignore[no-untyped-def] # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]
            return ""

        async def put(self, user: str):  # type: ignore[no-untyped-def]
            return None

        @weaver.routed(by="usr")
        async def add(self, user: str) -> None: ...

        def items(self) -> Iterator[int]:
            yield 1

        async def stream(self) -> AsyncIterator[int]:
            raise NotImplementedError

        async def start(self, eager: bool) -> None: ...

    _, problems = describe(Cart)
    texts = [str(p) for p in problems]
    for expected in (
        'names "Catalgo"',
        "Cart.get: parameter `user` has no annotation",
        "Cart.put: the result has no annotation",
        'Cart.add: routed(by="usr") names no parameter',
        'did you mean "user"?',
        "Cart.items is a plain generator",
        "Cart.stream returns an AsyncIterator instead of yielding",
        "Cart.start: the name is reserved",
    ):
        assert any(expected in text for text in texts), expected
    assert len(problems) == 7
    assert all("test_describe.py:" in p.where for p in problems)
    assert all(p.fix for p in problems)


def test_own_init_is_given_components_and_config_and_keeps_its_defaults() -> None:
    @weaver.component
    class Cart:
        def __init__(self, other: Other, settings: Settings, size: int = 3) -> None:
            self.size = size

    component, problems = describe(Cart)
    assert problems == []
    assert [(f.name, f.role) for f in component.fields] == [
        ("other", "reference"),
        ("settings", "config"),
    ]


def test_own_init_with_a_parameter_nobody_can_give_is_refused() -> None:
    @weaver.component
    class Cart:
        def __init__(self, dsn: str) -> None: ...

    problem = only_problem(Cart)
    assert "`dsn` has the type str" in problem.what
    assert "default" in problem.fix


def test_two_config_fields_are_refused() -> None:
    @dataclass
    class More:
        n: int = 1

    @weaver.component
    class Cart:
        one: Settings
        two: More

    assert "two config fields" in only_problem(Cart).what


def test_abstract_component_is_refused() -> None:
    class Base(ABC):
        @abstractmethod
        async def load(self) -> str: ...

    @weaver.component
    class Cart(Base): ...

    assert "abstract" in only_problem(Cart).what
    assert "load" in only_problem(Cart).why


def test_forward_reference_to_a_class_defined_later_in_the_same_function() -> None:
    @weaver.component
    class Front:
        back: "Back"

    @weaver.component
    class Back: ...

    component, problems = describe(Front)
    assert problems == []
    assert component.fields[0].type is Back


def test_existing_class_becomes_a_component_by_a_call() -> None:
    class Existing:
        def __init__(self) -> None:
            self.calls = 0

        async def hit(self) -> int:
            self.calls += 1
            return self.calls

    assert weaver.component(Existing) is Existing
    component, problems = describe(Existing)
    assert problems == []
    assert [m.name for m in component.methods] == ["hit"]


def test_a_component_can_be_built_by_hand_in_a_unit_test() -> None:
    @weaver.component
    class Cart:
        other: Other
        limit: int = 3
        seen: list[str] = field(default_factory=list[str])
        history: list[int] = []  # noqa: RUF012 # what a user may write
        _cache: dict[str, str] = field(init=False)

    first, second = Cart(other=Other()), Cart(other=Other())
    first.seen.append("x")
    first.history.append(1)
    assert second.seen == []
    assert second.history == []


def test_component_of_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match="no class"):
        weaver.component(threading.Lock())  # type: ignore[type-var] # pyright: ignore[reportArgumentType]
