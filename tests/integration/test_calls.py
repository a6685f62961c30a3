"""Calls between components: the same bodies run with direct calls and over codec and connection."""

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import weaver
from weaver.errors import CodecError, StateAccessError, UsageError
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]


@dataclass
class Item:
    name: str
    tags: list[str] = field(default_factory=list[str])


class BankError(Exception):
    def __init__(self, account: str, missing: int) -> None:
        super().__init__(f"{account} lacks {missing}")
        self.account = account
        self.missing = missing


class OverdrawnError(BankError): ...


class UnbuildableError(Exception):
    def __init__(self, *, code: int) -> None:
        if code < 0:
            raise AssertionError("never built twice")
        super().__init__(f"code {code}")
        self.code = code


@weaver.component
class Callee:
    log: list[str] = field(default_factory=list[str])
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def echo(
        self, item: Item, times: int = 1, *more: int, sep: str = ",", **rest: str
    ) -> str:
        return sep.join([item.name] * times + [str(n) for n in more] + sorted(rest.values()))

    async def mutate(self, item: Item) -> Item:
        item.tags.append("seen")
        return item

    async def fail(self, account: str) -> None:
        try:
            raise KeyError(account)
        except KeyError as error:
            raise OverdrawnError(account, 3) from error

    async def fail_oddly(self) -> None:
        raise UnbuildableError(code=7)

    async def fail_locally(self) -> None:
        class LocalError(Exception): ...

        raise LocalError("only here")

    async def count(self, n: int) -> AsyncIterator[int]:
        try:
            for i in range(n):
                self.log.append(f"made {i}")
                yield i
        finally:
            self.closed.set()

    async def fail_midway(self) -> AsyncIterator[Item]:
        yield Item("one")
        raise OverdrawnError("stream", 1)

    async def sleep(self, seconds: float) -> str:
        self.began.set()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "slept"

    async def remaining(self) -> float:
        from weaver.proclet import context

        # The loop's clock is that of its turn, which may be some ms old.
        return context.deadline.get() - time.monotonic()

    def plain(self, item: Item) -> str:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return f"plain {item.name}"

    async def made(self) -> list[str]:
        return self.log

    async def wait_closed(self) -> None:
        await self.closed.wait()

    async def wait_cancelled(self) -> None:
        await self.cancelled.wait()

    async def wait_began(self) -> None:
        await self.began.wait()

    async def raw(self, data: bytes) -> bytes:
        return data[::-1]

    async def wrong_result(self) -> int:
        return "seven"  # type: ignore[return-value] # pyright: ignore[reportReturnType]


@weaver.component
class Caller:
    callee: Callee
    secret_state: str = "mine"

    async def relay(self, name: str) -> str:
        return await self.callee.echo(Item(name), 2)

    async def relay_remaining(self) -> float:
        return await self.callee.remaining()

    async def relay_sleep(self, seconds: float) -> str:
        return await self.callee.sleep(seconds)

    def relay_plain(self, name: str) -> str:
        return self.callee.plain(Item(name)) + weaver.wait(self.callee.echo(Item("!")))


async def test_arguments_of_every_kind(weaver_app: MakeApp) -> None:
    async with weaver_app(Caller) as app:
        callee = app.get(Callee)
        assert await callee.echo(Item("a")) == "a"
        assert await callee.echo(item=Item("a"), times=2) == "a,a"
        assert await callee.echo(Item("a"), 1, 7, 8, sep="-", x="y") == "a-7-8-y"
        assert await app.get(Caller).relay("b") == "b,b"


async def test_wrong_arguments_raise_as_in_any_python_call(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        callee = app.get(Callee)
        with pytest.raises(TypeError, match="item"):
            await callee.echo()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        with pytest.raises(TypeError):
            await callee.raw(b"", 1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


async def test_arguments_that_do_not_match_their_annotation_name_the_parameter(
    weaver_app: MakeApp,
) -> None:
    async with weaver_app(Callee) as app:
        callee = app.get(Callee)
        with pytest.raises(CodecError, match=r"Callee.echo: argument `item"):
            await callee.echo("a")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        with pytest.raises(CodecError, match=r"item\.name"):
            await callee.echo(Item(3))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        with pytest.raises(CodecError, match=r"Callee.wrong_result: result"):
            await callee.wrong_result()


async def test_shared_mutation_shows_in_tests(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        mine = Item("a")
        theirs = await app.get(Callee).mutate(mine)
        assert mine.tags == []
        assert theirs.tags == ["seen"]


async def test_exceptions_keep_class_fields_and_cause(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        with pytest.raises(BankError) as caught:
            await app.get(Callee).fail("bob")
        error = caught.value
        assert type(error) is OverdrawnError
        assert (error.account, error.missing, str(error)) == ("bob", 3, "bob lacks 3")
        assert isinstance(error.__cause__, KeyError)
        assert not isinstance(error, weaver.RemoteCallError)


async def test_exceptions_are_rebuilt_without_calling_their_constructor(
    weaver_app: MakeApp,
) -> None:
    async with weaver_app(Callee) as app:
        with pytest.raises(UnbuildableError) as caught:
            await app.get(Callee).fail_oddly()
        assert caught.value.code == 7


@pytest.mark.weaver_runners("rpc")
async def test_an_exception_that_cannot_be_rebuilt_says_what_it_was(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        with pytest.raises(weaver.RemoteApplicationError) as caught:
            await app.get(Callee).fail_locally()
        assert "LocalError" in caught.value.type_name
        assert caught.value.message == "only here"
        assert "fail_locally" in caught.value.remote_traceback


@pytest.mark.weaver_runners("rpc")
async def test_a_remote_traceback_is_a_note(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        with pytest.raises(BankError) as caught:
            await app.get(Callee).fail("bob")
        assert any("in fail" in note for note in caught.value.__notes__)


async def test_streams_arrive_in_order_and_end(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        assert [i async for i in app.get(Callee).count(500)] == list(range(500))
        assert [i async for i in app.get(Callee).count(0)] == []


async def test_streams_raise_what_the_callee_raises(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        seen: list[Item] = []
        with pytest.raises(OverdrawnError):
            async for item in app.get(Callee).fail_midway():
                seen.append(item)  # noqa: PERF401 # the ones before the error count
        assert seen == [Item("one")]


async def test_leaving_a_stream_early_closes_the_callee(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        async for i in app.get(Callee).count(10**9):
            if i == 3:
                break
        async with asyncio.timeout(30):
            await app.get(Callee).wait_closed()


async def test_a_slow_consumer_holds_the_producer_back(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        stream = app.get(Callee).count(10**6)
        assert await anext(stream) == 0
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(await app.get(Callee).made()) < 200
        closing: Any = stream
        await closing.aclose()


async def test_options_timeout_binds_every_placement(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        callee = app.get(Callee)
        await callee.made()  # connected: what is waited for is the method, not its process
        with pytest.raises(weaver.DeadlineExceeded) as caught:
            await weaver.options(callee, timeout=0.3).sleep(30)
        assert isinstance(caught.value, TimeoutError)
        assert "Callee.sleep" in str(caught.value)
        async with asyncio.timeout(30):
            await callee.wait_cancelled()
        assert await weaver.options(callee, timeout=30, retry=False).sleep(0) == "slept"


async def test_deadlines_travel_as_remaining_time(weaver_app: MakeApp) -> None:
    async with weaver_app(Caller) as app:
        caller = app.get(Caller)
        assert 0 < await weaver.options(caller, timeout=30).relay_remaining() <= 30
        async with asyncio.timeout(20):
            assert 0 < await caller.relay_remaining() <= 20
        async with asyncio.timeout(60), asyncio.timeout(20):
            assert 0 < await caller.relay_remaining() <= 20


async def test_asyncio_timeout_cancels_the_callee(weaver_app: MakeApp) -> None:
    async with weaver_app(Caller) as app:
        await app.get(Caller).relay("a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await app.get(Caller).relay_sleep(30)
        async with asyncio.timeout(30):
            await app.get(Callee).wait_cancelled()


async def test_cancellation_reaches_the_callee(weaver_app: MakeApp) -> None:
    async with weaver_app(Caller) as app:
        task = asyncio.create_task(app.get(Caller).relay_sleep(30))
        await app.get(Callee).wait_began()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(30):
            await app.get(Callee).wait_cancelled()


async def test_plain_methods_serve_plain_callers(weaver_app: MakeApp) -> None:
    async with weaver_app(Caller) as app:
        assert await asyncio.to_thread(app.get(Callee).plain, Item("x")) == "plain x"
        assert await asyncio.to_thread(app.get(Caller).relay_plain, "x") == "plain x!"


async def test_plain_methods_refuse_an_event_loop(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        with pytest.raises(UsageError, match=r"to_thread\(reference\.plain"):
            app.get(Callee).plain(Item("x"))
        with pytest.raises(UsageError, match="await"):
            weaver.wait(app.get(Callee).made())


def test_plain_tests_reach_async_methods(weaver_app: MakeApp) -> None:
    with weaver_app(Caller) as app:
        assert weaver.wait(app.get(Caller).relay("a")) == "a,a"
        assert app.get(Caller).relay_plain("b") == "plain b!"


async def test_references_offer_methods_only(weaver_app: MakeApp) -> None:
    async with weaver_app(Caller) as app:
        caller: Any = app.get(Caller)
        assert isinstance(caller, Caller)
        for name in ("secret_state", "callee", "_anything"):
            assert not hasattr(caller, name)
        with pytest.raises(StateAccessError, match="state of another component"):
            _ = caller.secret_state
        with pytest.raises(StateAccessError, match="cannot be set"):
            caller.secret_state = "yours"


async def test_bytes_and_large_values(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        data = bytes(range(256)) * 4096 * 8
        assert await app.get(Callee).raw(data) == data[::-1]


async def test_many_calls_at_once(weaver_app: MakeApp) -> None:
    async with weaver_app(Callee) as app:
        callee = app.get(Callee)
        results = await asyncio.gather(*(callee.echo(Item(str(i))) for i in range(500)))
        assert results == [str(i) for i in range(500)]


user: contextvars.ContextVar[str] = contextvars.ContextVar("test_calls.user")
private: contextvars.ContextVar[str] = contextvars.ContextVar("test_calls.private")
weaver.propagate(user)


@weaver.component
class Reader:
    async def read(self) -> tuple[str, str]:
        return user.get("nobody"), private.get("nothing")

    def read_plain(self) -> str:
        return user.get("nobody")


async def test_propagated_variables_travel(weaver_app: MakeApp) -> None:
    async with weaver_app(Reader) as app:
        user.set("bob")
        private.set("hidden")
        seen = await app.get(Reader).read()
        assert seen[0] == "bob"
        if app.runner != "local":
            assert seen[1] == "nothing"
        assert await asyncio.to_thread(app.get(Reader).read_plain) == "bob"
