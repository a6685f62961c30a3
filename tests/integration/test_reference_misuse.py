"""References used too early, or for what they do not offer: what happens, and what is said."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import weaver
from weaver.errors import DefinitionError, StateAccessError, UsageError
from weaver.proclet.current import running
from weaver.testing import MakeApp

pytestmark = pytest.mark.weaver_runners("local", "rpc")  # processes would add nothing here


@weaver.component
class Ticker:
    async def start(self) -> None: ...
    async def main(self) -> None: ...

    async def ticks(self, count: int) -> AsyncIterator[int]:
        for tick in range(count):
            yield tick

    async def wait(self) -> None:
        await asyncio.Event().wait()

    def now(self) -> int:
        return 12

    @staticmethod
    def zero() -> int:
        return 0


EARLY = weaver.options(weaver.use(Ticker), timeout=0.2)


def test_options_of_a_reference_taken_at_import_start_no_application() -> None:
    assert running() is None
    assert "when it runs" in repr(EARLY)


async def test_options_of_a_reference_taken_at_import_hold(weaver_app: MakeApp) -> None:
    async with weaver_app(Ticker, main=False):
        with pytest.raises(weaver.DeadlineExceeded):
            await EARLY.wait()
        with pytest.raises(weaver.DeadlineExceeded):
            await weaver.options(EARLY, timeout=0.1).wait()


async def test_a_reader_that_is_slow_itself_ends_with_the_deadline(weaver_app: MakeApp) -> None:
    async with weaver_app(Ticker, main=False) as app:
        hasty = weaver.options(app.get(Ticker), timeout=0.1)
        with pytest.raises(weaver.DeadlineExceeded):
            async with asyncio.timeout(30):
                async for _ in hasty.ticks(10**9):
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "1s"])
def test_a_timeout_is_a_positive_number(timeout: Any) -> None:
    with pytest.raises(UsageError, match="a positive number of seconds"):
        weaver.options(EARLY, timeout=timeout)


async def test_what_cannot_be_waited_for_is_said(weaver_app: MakeApp) -> None:
    async with weaver_app(Ticker, main=False) as app:
        ticker: Any = app.get(Ticker)

        def plain() -> None:
            with pytest.raises(UsageError, match="a plain method gives its result at once"):
                weaver.wait(ticker.now())
            with pytest.raises(UsageError, match="async for"):
                weaver.wait(ticker.ticks(1))

        await asyncio.to_thread(plain)


@pytest.mark.parametrize("name", ["start", "stop", "main"])
async def test_what_the_runtime_calls_is_no_method(name: str, weaver_app: MakeApp) -> None:
    async with weaver_app(Ticker, main=False) as app:
        with pytest.raises(StateAccessError, match="called by the runtime"):
            getattr(app.get(Ticker), name)


async def test_what_belongs_to_the_class_is_no_method(weaver_app: MakeApp) -> None:
    async with weaver_app(Ticker, main=False) as app:
        with pytest.raises(StateAccessError, match="belongs to the class"):
            app.get(Ticker).zero()


async def test_a_class_is_no_fake(weaver_app: MakeApp) -> None:
    with pytest.raises(DefinitionError, match="the fake Ticker is a class") as caught:
        async with weaver_app(Ticker, fakes=[Ticker]):
            pass
    assert "Ticker()" in str(caught.value)
