"""Spans of calls at their caller: local and remote ones, and what is spared without a trace."""

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pytest
from network_replicas import (
    COMPONENT,
    Replicas,
    address_of_kind,
    ending,
    pair,
    routing,
    until,
)

import weaver
from weaver.control.spans import Span, decode_span
from weaver.proclet import tracing
from weaver.proclet.traced_calls import traced
from weaver.testing import weaver_app

T = TypeVar("T")
RUNNERS = pytest.mark.parametrize("runner", ["local", "rpc"])


@weaver.component
class Store:
    async def get(self, key: str) -> str:
        if not key:
            raise KeyError(key)
        return key

    async def calls(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    def aim(self, key: str) -> str:
        return key


@weaver.component
class Shelf:
    store: Store

    async def get(self, key: str) -> str:
        return await self.store.get(key)

    async def first(self, count: int, wanted: int) -> list[int]:
        found: list[int] = []
        async with asyncio.timeout(30):
            items = self.store.calls(count)
            async for item in items:
                if item == wanted:
                    break
                found.append(item)
                await self.store.get("between")
            await items.aclose()  # type: ignore[attr-defined]
        return found

    async def plain(self, key: str) -> str:
        return await asyncio.to_thread(self.store.aim, key)


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    tracing.take()
    yield
    tracing.take()


@pytest.fixture
def make(tmp_path: Path) -> Replicas:
    return Replicas(address_of_kind("unix", tmp_path))


def taken() -> list[Span]:
    return [decode_span(span) for span in tracing.take()]


async def in_trace(call: Awaitable[T]) -> T:
    """Await in a context with a trace, as the request of a user would."""
    span = tracing.of_call(bytes(24), "request", "")
    tracing.enter(span)
    try:
        return await call
    finally:
        span.end()


async def traced_call(make: Any, *args: Any) -> Any:
    async def call() -> Any:
        return await make(*args)

    return await asyncio.get_running_loop().create_task(
        in_trace(call()), context=contextvars.Context()
    )


@RUNNERS
async def test_each_call_of_a_trace_has_a_span_with_caller_and_placement(runner: Any) -> None:
    async with weaver_app(Shelf, runner=runner, main=False) as app:
        assert await traced_call(app.get(Shelf).get, "x") == "x"
        found = taken()
    at_caller = [s for s in found if s.kind != "served"]
    kind, attempts = ("local", 0) if runner == "local" else ("remote", 1)
    assert [(s.caller.rpartition(".")[2], s.name, s.kind, s.attempts) for s in at_caller] == [
        ("Shelf", "Store.get", kind, attempts),
        ("", "Shelf.get", kind, attempts),
    ]
    by_id = {s.span: s for s in found}
    above, chain = at_caller[0], list[str]()
    while above.parent in by_id:
        above = by_id[above.parent]
        chain.append(f"{above.name} {above.kind}")
    served = ["Shelf.get served"] if runner == "rpc" else []
    assert chain == [*served, f"Shelf.get {kind}", "request served"]
    assert {s.trace for s in found} == {"00" * 16}


@RUNNERS
async def test_a_span_says_what_was_raised(runner: Any) -> None:
    async with weaver_app(Shelf, runner=runner, main=False) as app:
        with pytest.raises(KeyError):
            await traced_call(app.get(Shelf).get, "")
        assert [s.error for s in taken() if s.name != "request"] == ["KeyError"] * (
            2 if runner == "local" else 4
        )


@RUNNERS
async def test_a_stream_is_one_span_and_what_its_reader_calls_is_none_of_its_own(
    runner: Any,
) -> None:
    async with weaver_app(Shelf, runner=runner, main=False) as app:
        assert await traced_call(app.get(Shelf).first, 5, 2) == [0, 1]
        found = [s for s in taken() if s.kind in {"local", "remote"}]
    (outer,) = [s for s in found if s.name == "Shelf.first"]
    (stream,) = [s for s in found if s.name == "Store.calls"]
    between = [s for s in found if s.name == "Store.get"]
    assert len(between) == 2
    assert stream.error == ""
    assert {s.parent for s in between} == {stream.parent}
    assert (stream.parent == outer.span) is (runner == "local")


@RUNNERS
async def test_a_plain_method_called_from_a_thread_is_traced(runner: Any) -> None:
    async with weaver_app(Shelf, runner=runner, main=False) as app:
        assert await traced_call(app.get(Shelf).plain, "x") == "x"
        (found,) = [s for s in taken() if s.name == "Store.aim" and s.kind != "served"]
    assert found.kind == ("local" if runner == "local" else "remote")


async def test_calls_beside_a_traced_one_have_no_spans() -> None:
    async with weaver_app(Shelf, main=False) as app:
        span = tracing.of_call(bytes(24), "request", "")
        try:
            assert await app.get(Shelf).get("x") == "x"
            assert taken() == []
        finally:
            span.end()


async def test_a_local_call_passes_through_more_functions_only_while_a_span_is_open() -> None:
    async with weaver_app(Shelf, main=False) as app:
        shelf = app.get(Shelf)
        before = await _functions_of(shelf.get("x"))
        span = tracing.of_call(bytes(24), "request", "")
        during = await _functions_of(shelf.get("x"))
        another = app.get(Shelf)  # made while calls are traced
        made = await _functions_of(another.get("x"))
        span.end()
        assert len(during) == len(made) == len(before) + 1
        assert await _functions_of(shelf.get("x")) == before
        assert await _functions_of(another.get("x")) == before


async def _functions_of(call: Awaitable[object]) -> list[str]:
    """The Python functions that `Store.get` is reached through, from `Shelf.get` on."""
    found: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            found.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        await call
    finally:
        sys.setprofile(None)
    return found[found.index("Shelf.get") :]


async def test_a_method_may_have_any_name_that_a_stub_uses_itself() -> None:
    async with weaver_app(Shelf, main=False) as app:
        store = app.get(Store)
        assert [item async for item in store.calls(3)] == [0, 1, 2]
        assert await asyncio.to_thread(store.aim, "x") == "x"


@ending
async def test_the_span_of_a_call_that_is_made_again_counts_its_attempts(make: Replicas) -> None:
    caller, callee = await pair(make)
    other = await make("shop-2")
    method = caller.network.definition.table.of(COMPONENT)["hang_twice"].method
    called = tracing.Called("Shelf.hang_twice", "Shelf", "Front", remote=True)
    call = traced(method, called, caller.method("hang_twice"))
    task = asyncio.create_task(traced_call(call, "x"))
    await until(lambda: callee.shelf.begun)
    caller.network.update(routing(2, callee, other))
    other.shelf.go_on.set()
    await callee.network.aclose()
    assert await task == "x"
    found = [s for s in taken() if s.name == "Shelf.hang_twice"]
    (at_caller,) = [s for s in found if s.kind == "remote"]
    assert (at_caller.attempts, at_caller.error) == (2, "")
    assert [s.parent for s in found if s.kind == "served"] == [at_caller.span] * 2
