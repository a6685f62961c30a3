"""Two components that call each other: to any depth, and across plain and async methods."""

import asyncio
import time
from collections.abc import Callable

import weaver
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]


@weaver.component
class Ping:
    pong: "Pong"

    async def down(self, n: int) -> int:
        return 0 if n == 0 else 1 + await self.pong.down(n - 1)

    def sink(self, n: int) -> int:
        return 0 if n == 0 else 1 + weaver.wait(self.pong.rise(n - 1))

    async def rise(self, n: int) -> int:
        return 0 if n == 0 else 1 + await asyncio.to_thread(self.pong.sink, n - 1)


@weaver.component
class Pong:
    ping: Ping

    async def down(self, n: int) -> int:
        return 0 if n == 0 else 1 + await self.ping.down(n - 1)

    def sink(self, n: int) -> int:
        return 0 if n == 0 else 1 + weaver.wait(self.ping.rise(n - 1))

    async def rise(self, n: int) -> int:
        return 0 if n == 0 else 1 + await asyncio.to_thread(self.ping.sink, n - 1)


async def test_mutual_recursion(weaver_app: MakeApp) -> None:
    async with weaver_app(Ping) as app:
        assert await app.get(Ping).down(100) == 100


async def test_plain_and_async_methods_calling_each_other_do_not_deadlock(
    weaver_app: MakeApp,
) -> None:
    async with weaver_app(Ping, config={"app": {"threads": 4}}) as app:
        began = time.monotonic()
        assert await app.get(Ping).rise(80) == 80
        assert time.monotonic() - began < 20
