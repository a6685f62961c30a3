import asyncio
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import weaver
from weaver.errors import ComponentError, StartError, UsageError

pytestmark = pytest.mark.weaver_runners("multi")


class NotStocked(Exception):
    """What another process raises arrives as itself."""


@dataclass
class ShopConfig:
    greeting: str = "hello"


@weaver.component
class Stock:
    async def count(self, item: str) -> int:
        raise AssertionError(f"the warehouse was asked for {item}")

    async def items(self, upto: int) -> AsyncIterator[str]:
        for number in range(upto):
            yield f"item {number}"


@weaver.component
class Shop:
    stock: Stock
    config: ShopConfig

    @weaver.idempotent
    async def pid(self) -> int:
        return os.getpid()

    async def greet(self, name: str) -> str:
        return f"{self.config.greeting} {name}"

    async def order(self, item: str) -> int:
        found = await self.stock.count(item)
        if not found:
            raise NotStocked(item)
        return found

    async def listing(self, upto: int) -> AsyncIterator[str]:
        async for item in self.stock.items(upto):
            yield item.upper()


@weaver.component
class Door:
    shop: Shop

    @weaver.idempotent
    async def pids(self) -> list[int]:
        return [os.getpid(), await self.shop.pid()]


@dataclass
class FakeStock(Stock):
    asked: list[str] = field(default_factory=list[str])

    async def count(self, item: str) -> int:
        self.asked.append(item)
        return 0 if item == "moon" else os.getpid()


@weaver.component
class Eager:
    stock: Stock

    async def start(self) -> None:
        self._found = await self.stock.count("lamp")

    async def found(self) -> int:
        return self._found


@weaver.component
class Broken:
    async def start(self) -> None:
        raise RuntimeError("no disk for \udcff")  # the name of a file may hold any byte


@weaver.component
class Noisy:
    async def stop(self) -> None:
        logging.getLogger("noisy").warning("swept")


@weaver.component
class Busy:
    http: weaver.Listener

    async def main(self) -> None:
        raise LookupError("nothing to do")


async def test_each_component_is_a_process_of_its_own(weaver_app: Any) -> None:
    async with weaver_app(Door, fakes=[FakeStock()]) as app:
        pids = await app.get(Door).pids()
        assert len({*pids, os.getpid()}) == 3


async def test_config_puts_components_together(weaver_app: Any) -> None:
    config = {"groups": {"all": {"components": ["Door", "Shop"]}}, Shop: ShopConfig("good day")}
    async with weaver_app(Door, fakes=[FakeStock()], config=config) as app:
        assert len(set(await app.get(Door).pids())) == 1
        assert await app.get(Shop).greet("Ann") == "good day Ann"


async def test_fakes_are_called_in_the_process_of_the_test(weaver_app: Any) -> None:
    fake = FakeStock()
    async with weaver_app(Shop, fakes=[fake]) as app:
        assert await app.get(Shop).order("mug") == os.getpid()
        assert await app.get(Stock).count("cup") == os.getpid()
    assert fake.asked == ["mug", "cup"]


async def test_exceptions_arrive_as_themselves(weaver_app: Any) -> None:
    async with weaver_app(Shop, fakes=[FakeStock()]) as app:
        with pytest.raises(NotStocked, match="moon"):
            await app.get(Shop).order("moon")


async def test_streams_pass_through_all_processes(weaver_app: Any) -> None:
    async with weaver_app(Shop, fakes=[FakeStock()]) as app:
        assert [item async for item in app.get(Shop).listing(2)] == ["ITEM 0", "ITEM 1"]


async def test_several_roots_run_together(weaver_app: Any) -> None:
    async with weaver_app(Shop, Door, fakes={Stock: FakeStock()}) as app:
        assert await app.get(Shop).pid() == (await app.get(Door).pids())[1]


async def test_a_killed_replica_is_replaced(weaver_app: Any) -> None:
    async with weaver_app(Door, fakes=[FakeStock()]) as app:
        _, before = await app.get(Door).pids()
        assert await app.kill(Shop) == before
        async with asyncio.timeout(20):
            _, after = await app.get(Door).pids()
        assert after != before


async def test_a_killed_replica_leaves_its_calls_to_the_others(weaver_app: Any) -> None:
    config = {"groups": {"shop": {"components": ["Shop"], "replicas": 2}}}
    async with weaver_app(Shop, fakes=[FakeStock()], config=config) as app:
        shop = app.get(Shop)
        killed = await app.kill(Shop)
        assert killed not in [await shop.pid() for _ in range(20)]


async def test_fakes_take_calls_while_components_start(weaver_app: Any) -> None:
    fake = FakeStock()
    async with weaver_app(Eager, fakes=[fake]) as app:
        assert await app.get(Eager).found() == os.getpid()
    assert fake.asked == ["lamp"]


async def test_a_fake_cannot_be_killed(weaver_app: Any) -> None:
    async with weaver_app(Shop, fakes=[FakeStock()]) as app:
        with pytest.raises(UsageError, match="Stock can be killed"):
            await app.kill(Stock)


async def test_no_process_is_left(weaver_app: Any) -> None:
    async with weaver_app(Door, fakes=[FakeStock()]) as app:
        pids = await app.get(Door).pids()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_plain_tests_wait_for_calls(weaver_app: Any) -> None:
    with weaver_app(Shop, fakes=[FakeStock()]) as app:
        assert weaver.wait(app.get(Shop).pid()) != os.getpid()
        weaver.wait(app.kill(Shop))
        assert weaver.wait(app.get(Shop).greet("Bob")) == "hello Bob"


async def test_a_component_that_does_not_start_fails_the_start(weaver_app: Any) -> None:
    with pytest.raises(StartError, match=r"no disk for \\udcff"):
        async with weaver_app(Broken):
            pytest.fail("it has started")


async def test_an_error_of_main_is_raised(weaver_app: Any) -> None:
    with pytest.raises(ComponentError, match="nothing to do"):
        async with weaver_app(Busy):
            await asyncio.sleep(5)


async def test_main_is_not_run_on_request(weaver_app: Any) -> None:
    async with weaver_app(Busy, main=False) as app:
        assert app.address("http").startswith("127.0.0.1:")


async def test_what_replicas_log_is_captured(
    weaver_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with weaver_app(Noisy):
        pass
    assert "[Noisy-1] swept" in [record.getMessage() for record in caplog.records]


async def test_a_class_inside_a_function_is_refused(weaver_app: Any) -> None:
    @weaver.component
    class Inner:
        async def one(self) -> int:
            return 1

    with pytest.raises(UsageError, match="Inner cannot run in another process"):
        async with weaver_app(Inner):
            pytest.fail("it has started")


@pytest.mark.weaver_runners("local", "rpc")
async def test_only_processes_can_be_killed(weaver_app: Any) -> None:
    async with weaver_app(Shop, fakes=[FakeStock()]) as app:
        with pytest.raises(UsageError, match="no replica to kill"):
            await app.kill(Shop)
