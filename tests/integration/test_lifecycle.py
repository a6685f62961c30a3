"""Starting and stopping: order, cycles, failures, and what the messages say."""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

import weaver
from weaver.errors import ComponentError, DefinitionError, StartError, UsageError
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]
events: list[str] = []


@pytest.fixture(autouse=True)
def fresh_events() -> None:
    events.clear()


@weaver.component
class Base:
    async def start(self) -> None:
        events.append("start Base")

    async def stop(self) -> None:
        events.append("stop Base")

    async def name(self) -> str:
        return "base"


@weaver.component
class Middle:
    base: Base

    async def start(self) -> None:
        events.append(f"start Middle over {await self.base.name()}")

    async def stop(self) -> None:
        events.append(f"stop Middle over {await self.base.name()}")


@weaver.component
class Top:
    middle: Middle
    base: Base

    async def start(self) -> None:
        events.append("start Top")

    async def stop(self) -> None:
        events.append("stop Top")

    async def main(self) -> None:
        events.append("main")


@pytest.mark.weaver_runners("local", "rpc")  # reads what all have done
async def test_start_follows_references_and_stop_goes_back(weaver_app: MakeApp) -> None:
    async with weaver_app(Top):
        pass
    assert events == [
        "start Base",
        "start Middle over base",
        "start Top",
        "main",
        "stop Top",
        "stop Middle over base",
        "stop Base",
    ]


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_failing_start_names_the_component_and_stops_the_others(
    weaver_app: MakeApp,
) -> None:
    @weaver.component
    class Broken:
        base: Base

        async def start(self) -> None:
            raise ValueError("no disk")

    with pytest.raises(StartError) as caught:
        async with weaver_app(Broken):
            pass
    assert "Broken.start failed: ValueError: no disk" in str(caught.value)
    assert "test_lifecycle.py:" in caught.value.where
    assert caught.value.fix
    assert isinstance(caught.value.__cause__, ValueError)
    assert events == ["start Base", "stop Base"]


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_failing_constructor_names_the_component(weaver_app: MakeApp) -> None:
    @weaver.component
    class Broken:
        def __init__(self) -> None:
            raise OSError("no room")

    with pytest.raises(StartError, match=r"Broken.__init__ failed: OSError: no room"):
        async with weaver_app(Broken):
            pass


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_start_that_exits_fails_as_any_other(weaver_app: MakeApp) -> None:
    @weaver.component
    class Leaving:
        async def start(self) -> None:
            sys.exit("no licence")

    with pytest.raises(StartError, match=r"Leaving.start failed: SystemExit: no licence"):
        async with weaver_app(Leaving):
            pass


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_failing_main_is_raised_at_the_end(weaver_app: MakeApp) -> None:
    @weaver.component
    class Broken:
        async def main(self) -> None:
            raise ValueError("gave up")

    with pytest.raises(ComponentError, match=r"Broken.main failed: ValueError: gave up"):
        async with weaver_app(Broken):
            await asyncio.sleep(0)


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_failing_stop_is_logged_and_the_others_stop(
    weaver_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    @weaver.component
    class Broken:
        base: Base

        async def stop(self) -> None:
            raise ValueError("cannot let go")

    async with weaver_app(Broken):
        pass
    assert events == ["start Base", "stop Base"]
    assert "Broken.stop failed" in caplog.text


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_stop_that_hangs_is_cancelled(
    weaver_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    @weaver.component
    class Hanging:
        base: Base

        async def stop(self) -> None:
            await asyncio.Event().wait()

    async with weaver_app(Hanging, config={"app": {"stop_timeout": "50ms"}}):
        pass
    assert events == ["start Base", "stop Base"]
    assert "Hanging.stop did not end within 0.05 s" in caplog.text


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_call_in_a_cycle_waits_for_the_callee_to_start(weaver_app: MakeApp) -> None:
    @weaver.component
    class Left:
        right: "Right"

        async def start(self) -> None:
            events.append("left begins")
            assert await self.right.ready() == "right is ready"
            events.append("left has started")

        async def ready(self) -> str:
            return "left is ready"

    @weaver.component
    class Right:
        left: Left
        up: bool = False

        async def start(self) -> None:
            await asyncio.sleep(0)
            events.append("right has started")
            self.up = True

        async def ready(self) -> str:
            assert self.up
            return "right is ready"

    async with weaver_app(Left) as app:
        assert await app.get(Right).ready() == "right is ready"
    assert events == ["left begins", "right has started", "left has started"]


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_cycle_whose_starts_wait_for_each_other_is_refused_by_name(
    weaver_app: MakeApp,
) -> None:
    @weaver.component
    class Hen:
        egg: "Egg"

        async def start(self) -> None:
            await self.egg.ready()

        async def ready(self) -> None: ...

    @weaver.component
    class Egg:
        hen: Hen

        async def start(self) -> None:
            await self.hen.ready()

        async def ready(self) -> None: ...

    with pytest.raises(StartError, match="wait for one another to start") as caught:
        async with asyncio.timeout(30):
            async with weaver_app(Hen):
                pass
    assert "Hen" in caught.value.what
    assert "Egg" in caught.value.what


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_self_call_during_start_is_refused(weaver_app: MakeApp) -> None:
    @weaver.component
    class Narcissus:
        me: "Narcissus"

        async def start(self) -> None:
            await self.me.look()

        async def look(self) -> None: ...

    with pytest.raises(StartError, match="Narcissus"):
        async with asyncio.timeout(30):
            async with weaver_app(Narcissus):
                pass


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_a_circle_through_a_started_component_is_refused(weaver_app: MakeApp) -> None:
    @weaver.component
    class Early:
        late: "Late"

        async def ask(self) -> str:
            return await self.late.answer()

    @weaver.component
    class Late:
        early: Early

        async def start(self) -> None:
            await asyncio.sleep(0)
            await self.early.ask()

        async def answer(self) -> str:
            return "late"

    with pytest.raises(StartError, match="Late"):
        async with asyncio.timeout(30):
            async with weaver_app(Late):
                pass


async def test_all_definition_problems_are_raised_at_once(weaver_app: MakeApp) -> None:
    @weaver.component
    class One:
        async def get(self, lock: asyncio.Lock) -> None: ...

    @weaver.component
    class Two:
        one: One

        async def put(self, x) -> None: ...  # type: ignore[no-untyped-def] # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]

    with pytest.raises(DefinitionError) as caught:
        async with weaver_app(Two):
            pass
    text = str(caught.value)
    assert "One.get: parameter `lock`" in text
    assert "Two.put: parameter `x` has no annotation" in text
    assert len(caught.value.problems) == 2


async def test_get_refuses_what_is_no_component(weaver_app: MakeApp) -> None:
    class ShopClock: ...

    async with weaver_app(Base) as app:
        with pytest.raises(UsageError, match="ShopClock is not a component"):
            app.get(ShopClock)
        with pytest.raises(UsageError, match="Top is not part of the running application"):
            app.get(Top)
    with pytest.raises(UsageError, match="no application runs"):
        weaver.get(Base)


async def test_use_may_be_taken_before_the_start(weaver_app: MakeApp) -> None:
    base = weaver.use(Base)
    assert isinstance(base, Base)
    async with weaver_app(Base):
        assert await base.name() == "base"
        assert await weaver.options(base, timeout=1).name() == "base"
        dependency: Any = base
        assert await dependency().name() == "base"


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_deployment_tells_where_code_runs(weaver_app: MakeApp) -> None:
    @weaver.component
    class Teller:
        async def tell(self) -> str:
            return weaver.deployment().app

    async with weaver_app(Teller, config={"app": {"name": "shop"}}) as app:
        assert await app.get(Teller).tell() == "shop"
        assert weaver.deployment().host


@pytest.mark.weaver_runners("local", "rpc")  # local classes
async def test_what_waits_long_says_for_what(
    weaver_app: MakeApp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from weaver.proclet import patience

    monkeypatch.setattr(patience, "FIRST_WORD_AFTER", 0.01)
    caplog.set_level(logging.WARNING, "weaver")

    @weaver.component
    class Slow:
        async def start(self) -> None:
            while "still waiting" not in caplog.text:
                await asyncio.sleep(0.001)

    async with asyncio.timeout(30), weaver_app(Slow):
        pass
    assert "Slow.start" in caplog.text
