"""Every public name as applications use it: checked by mypy and pyright, never run."""

from __future__ import annotations

import abc
import asyncio
import contextvars
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Protocol, assert_type

from fastapi import Depends, FastAPI

import weaver
from weaver.testing import MakeApp, TestApp, weaver_app


@dataclass
class Item:
    name: str
    price: Decimal


@dataclass
class CartConfig:
    capacity: int = 1000


class Mailer(Protocol):
    async def send(self, to: str, text: str) -> bool: ...


class Store(abc.ABC):
    @abc.abstractmethod
    async def load(self, key: str) -> bytes: ...


@weaver.component
class Catalog:
    async def find(self, name: str, *, limit: int = 10) -> list[Item]:
        return []

    def report(self, year: int) -> bytes:
        return b""


@weaver.component
class Cart:
    catalog: Catalog
    config: CartConfig
    token: weaver.Secret[str]
    mailer: Mailer
    store: Store
    hits: int = 0

    async def start(self) -> None:
        assert_type(self.token.reveal(), str)
        assert_type(self.config.capacity, int)
        assert_type(self.mailer, Mailer)

    async def stop(self) -> None: ...

    @weaver.routed(by="user")
    @weaver.idempotent
    async def get(self, user: str) -> list[Item]:
        assert_type(await self.mailer.send(user, "hello"), bool)
        assert_type(await self.store.load(user), bytes)
        return await self.catalog.find(user, limit=3)

    @weaver.routed(by="user")
    async def add(self, user: str, item: Item) -> None: ...

    async def watch(self, user: str) -> AsyncIterator[Item]:
        for item in await self.get(user):
            yield item


@weaver.component
class SmtpMailer(Mailer):
    async def send(self, to: str, text: str) -> bool:
        return True


@weaver.component
class FileStore(Store):
    async def load(self, key: str) -> bytes:
        return b""


class Existing:
    def __init__(self, catalog: Catalog, size: int = 3) -> None:
        self.catalog = catalog
        self.size = size

    def total(self, prices: Sequence[Decimal]) -> Decimal:
        return sum(prices, Decimal(0))


weaver.component(Existing)
assert_type(weaver.component(Existing), type[Existing])

existing = weaver.use(Existing)
locale = contextvars.ContextVar[str]("locale", default="en")
weaver.propagate(locale)


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y


def point_to_wire(point: Point) -> tuple[int, int]:
    return point.x, point.y


def point_from_wire(wire: tuple[int, int]) -> Point:
    return Point(*wire)


weaver.codec(Point, point_to_wire, point_from_wire)


@weaver.component
class Web:
    cart: Cart
    http: weaver.Listener

    async def main(self) -> None:
        assert_type(await self.cart.get("ada"), list[Item])
        assert_type(await self.cart.add("ada", Item("pen", Decimal(1))), None)
        async for item in self.cart.watch("ada"):
            assert_type(item, Item)
        async with asyncio.timeout(1):
            await weaver.options(self.cart, timeout=0.5, retry=False).get("ada")
        await asyncio.to_thread(self.cart.catalog.report, 2026)
        assert_type(self.http.address, str)
        assert_type(await self.http.serve(application), None)


async def application(
    scope: Mapping[str, Any], receive: Any, send: Any
) -> None: ...  # the shape of any ASGI application


def handler() -> list[Item]:
    """Code that is no component, such as a web handler."""
    cart = weaver.get(Cart)
    assert_type(cart, Cart)
    assert_type(weaver.use(Catalog), Catalog)
    assert_type(weaver.get(Mailer), Mailer)
    assert_type(weaver.get(Store), Store)
    assert_type(weaver.options(cart, timeout=1.0), Cart)
    assert_type(existing.total([Decimal(1)]), Decimal)
    assert_type(weaver.use(Catalog).report(2026), bytes)
    return assert_type(weaver.wait(cart.get("ada")), list[Item])


web = FastAPI()


async def get_existing() -> Existing:
    return existing


@web.get("/total")
async def total(
    asked: Annotated[Existing, Depends(get_existing)],
    short: Annotated[Existing, Depends(lambda: existing)],
    default: Existing = Depends(lambda: existing),  # noqa: B008, FAST002 # as people write it
) -> str:
    assert_type(short.total([]), Decimal)
    assert_type(default.total([]), Decimal)
    return str(asked.total([Decimal(1)]))


def where() -> tuple[str, ...]:
    here = weaver.deployment()
    return here.app, here.version, here.deployment, here.group, here.replica, here.host


async def outcome(cart: Cart) -> str:
    try:
        await cart.get("ada")
    except weaver.DeadlineExceeded as error:
        also: TimeoutError = error
        return f"{also} {error.executed}"
    except (weaver.Unreachable, weaver.ConnectionLost, weaver.Overloaded) as error:
        return error.executed
    except weaver.RemoteCallError as error:
        return error.executed
    except weaver.RemoteApplicationError as error:
        return error.type_name + error.message + error.remote_traceback
    except weaver.WeaverError as error:
        return error.what + error.where + error.why + error.fix
    return "done"


class FakeMailer:
    async def send(self, to: str, text: str) -> bool:
        return True


async def unit_test() -> None:
    """A component made by hand: a keyword-only dataclass."""
    cart = Cart(
        catalog=Catalog(),
        config=CartConfig(capacity=1),
        token=weaver.Secret("s"),
        mailer=FakeMailer(),
        store=FileStore(),
    )
    assert_type(cart, Cart)
    assert_type(cart.hits, int)


async def test_of_an_application() -> None:
    async with weaver_app(Web, fakes=[FakeMailer()], config={Cart: {"capacity": 1}}) as app:
        assert_type(app, TestApp)
        assert_type(app.get(Cart), Cart)
        assert_type(app.address("http"), str)
    with weaver_app(Web, runner="rpc") as plain:
        assert_type(weaver.wait(plain.get(Cart).get("ada")), list[Item])


async def test_with_the_fixture(weaver_app: MakeApp) -> None:
    async with weaver_app(Web, Cart, fakes={Mailer: FakeMailer()}, main=False) as app:
        assert_type(app, TestApp)
        assert_type(await app.get(Cart).get("ada"), list[Item])


made: MakeApp = weaver_app


if __name__ == "__main__":
    weaver.run(Web)
