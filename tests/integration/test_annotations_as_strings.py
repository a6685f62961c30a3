"""Components under `from __future__ import annotations`: every annotation is a string."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

import weaver
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]


@weaver.component
class Front:
    back: Back
    clock: Clock
    store: Store
    config: FrontConfig
    token: weaver.Secret[str]
    _seen: list[str]

    async def start(self) -> None:
        self._seen = []

    async def ask(self, item: Item, *more: Item, **named: Item) -> list[Item]:
        self._seen.append(item.name)
        answers = [await self.back.answer(each) for each in (item, *more, *named.values())]
        stored = await self.store.load(f"{self.config.prefix}{self.token.reveal()}")
        return [*answers, Item(stored), Item(await self.clock.now())]

    async def watch(self, count: int) -> AsyncIterator[Item]:
        async for item in self.back.items(count):
            yield item


@weaver.component
class Back:
    async def answer(self, item: Item) -> Item:
        return Item(item.name.upper())

    async def items(self, count: int) -> AsyncIterator[Item]:
        for number in range(count):
            yield Item(str(number))


class Clock(Protocol):
    async def now(self) -> str: ...


class Store(ABC):
    @abstractmethod
    async def load(self, key: str) -> str: ...


@weaver.component
class Sun(Clock):
    async def now(self) -> str:
        return "noon"


@weaver.component
class Disk(Store):
    async def load(self, key: str) -> str:
        return f"<{key}>"


@dataclass
class FrontConfig:
    prefix: str


@dataclass
class Item:
    name: str


@weaver.component
class Built:
    def __init__(self, back: Back, config: FrontConfig, size: int = 2) -> None:
        self._back, self._config, self._size = back, config, size

    async def run(self) -> str:
        return (await self._back.answer(Item(self._config.prefix))).name * self._size


async def test_everything_a_component_asks_for_arrives(weaver_app: MakeApp) -> None:
    config = {Front: {"prefix": "k-", "token": "t"}, Built: {"prefix": "p"}}
    async with weaver_app(Front, Built, config=config) as app:
        front = app.get(Front)
        found = await front.ask(Item("a"), Item("b"), last=Item("c"))
        assert found == [Item("A"), Item("B"), Item("C"), Item("<k-t>"), Item("noon")]
        assert [item async for item in front.watch(2)] == [Item("0"), Item("1")]
        assert await app.get(Built).run() == "PP"
        assert isinstance(front, Front)


@pytest.mark.weaver_runners("local", "rpc")  # what is inside a function exists in one process
async def test_components_inside_a_function_may_name_what_is_defined_there_later(
    weaver_app: MakeApp,
) -> None:
    @weaver.component
    class Outer:
        inner: Inner

        async def double(self, value: Value) -> Value:
            return await self.inner.double(value)

    @weaver.component
    class Inner:
        outer: Outer

        async def double(self, value: Value) -> Value:
            return Value(value.number * 2)

    @dataclass
    class Value:
        number: int

    async with weaver_app(Outer) as app:
        assert await app.get(Outer).double(Value(21)) == Value(42)


@pytest.mark.weaver_runners("local", "rpc")
async def test_a_component_inside_a_method_of_a_class(weaver_app: MakeApp) -> None:
    class Maker:
        def make(self) -> Any:
            class Payload(Protocol):
                async def weigh(self, item: Item) -> int: ...

            @weaver.component
            class Scale(Payload):
                async def weigh(self, item: Item) -> int:
                    return len(item.name)

            @weaver.component
            class Shop:
                scale: Payload

                async def price(self, item: Item) -> int:
                    return 3 * await self.scale.weigh(item)

            return Shop

    shop: Any = Maker().make()
    async with weaver_app(shop) as app:
        assert await app.get(shop).price(Item("pen")) == 9
