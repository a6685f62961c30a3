"""weaver.testing: what stands for a component or an interface, and what is refused."""

from collections.abc import Callable
from typing import Any, Protocol

import pytest

import weaver
from weaver.errors import DefinitionError
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]


@weaver.component
class Base:
    async def start(self) -> None:
        raise AssertionError("the real one must not start")

    async def name(self) -> str:
        return "base"


class Clock(Protocol):
    async def now(self) -> float: ...


@weaver.component
class Timer:
    clock: Clock
    base: Base

    async def read(self) -> tuple[float, str]:
        return await self.clock.now(), await self.base.name()


class FixedClock:
    async def now(self) -> float:
        return 42.0


class FakeBase(Base):
    async def name(self) -> str:
        return "fake"


async def test_fakes_stand_for_components_and_interfaces(weaver_app: MakeApp) -> None:
    fakes: Any = {Clock: FixedClock(), Base: FakeBase()}
    async with weaver_app(Timer, fakes=fakes) as app:
        assert await app.get(Timer).read() == (42.0, "fake")


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_fakes_are_found_by_type(weaver_app: MakeApp) -> None:
    @weaver.component
    class User:
        base: Base

        async def ask(self) -> str:
            return await self.base.name()

    async with weaver_app(User, fakes=[FakeBase()]) as app:
        assert await app.get(User).ask() == "fake"


async def test_a_fake_that_stands_for_nothing_is_refused(weaver_app: MakeApp) -> None:
    with pytest.raises(DefinitionError, match="FixedClock stands for no component"):
        async with weaver_app(Base, fakes=[FixedClock()]):
            pass


async def test_a_fake_that_lacks_a_method_is_refused(weaver_app: MakeApp) -> None:
    class Empty: ...

    fakes: Any = {Base: Empty()}
    with pytest.raises(DefinitionError, match="lacks methods of Base: name"):
        async with weaver_app(Base, fakes=fakes):
            pass
