"""Mistakes that both type checkers must report: each marked line, and no other. Never run."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from fastapi import Depends

import weaver
from weaver.testing import MakeApp


@dataclass
class Item:
    name: str


@dataclass
class CartConfig:
    capacity: int = 1000


class Mailer(Protocol):
    async def send(self, to: str) -> bool: ...


@weaver.component
class Catalog:
    async def find(self, name: str, *, limit: int = 10) -> list[Item]:
        return []

    async def watch(self, name: str) -> AsyncIterator[Item]:
        yield Item(name)

    def report(self, year: int) -> bytes:
        return b""


@weaver.component
class Cart:
    catalog: Catalog
    config: CartConfig
    token: weaver.Secret[str]
    mailer: Mailer
    http: weaver.Listener

    async def calls(self) -> None:
        await self.catalog.find(3)  # wrong: the type of an argument
        await self.catalog.find()  # wrong: an argument is missing
        await self.catalog.find("a", "b")  # wrong: one too many
        await self.catalog.find("a", limit="b")  # wrong: the type of a keyword
        await self.catalog.find("a", most=1)  # wrong: no such keyword
        await self.catalog.fnd("a")  # wrong: no such method
        await self.mailer.send(3)  # wrong: the type of an argument of an interface

    async def results(self) -> int:
        item: Item = await self.catalog.find("a")  # wrong: a list is no item
        print(self.catalog.report(2026).name)  # wrong: bytes have no such attribute
        async for found in self.catalog.watch("a"):
            print(found.price)  # wrong: items of a stream have types
        for _ in self.catalog.watch("a"):  # wrong: a stream is asynchronous
            pass
        return item.name  # wrong: not the declared result

    async def given(self) -> None:
        self.token.upper()  # wrong: a secret is not its value
        print(self.token.reveal().real)  # wrong: a str has no such attribute
        print(self.config.capcity)  # wrong: no such key
        await self.http.serve()  # wrong: what to serve is missing


def from_outside() -> None:
    weaver.get(Cart).fnd()  # wrong: no such method of what get returns
    weaver.use(Catalog).report("2026")  # wrong: the type of an argument
    weaver.options(Catalog(), timeout="1s")  # wrong: seconds are a number
    weaver.options(Catalog(), tiemout=1.0)  # wrong: no such option
    weaver.options(Catalog(), timeout=1).fnd()  # wrong: no such method
    print(weaver.wait(Catalog().find("a")).name)  # wrong: a list has no such attribute
    weaver.wait(Catalog().report(2026))  # wrong: bytes cannot be waited for
    weaver.run(Cart, strict_copies="yes")  # wrong: the type of an option
    print(weaver.deployment().versoin)  # wrong: no such field


def handler(
    stock: Catalog = Depends(weaver.use(Catalog)),  # noqa: B008 # wrong: give Depends a function
) -> None: ...


async def under_test(weaver_app: MakeApp) -> None:
    async with weaver_app(Cart, fake=[Catalog()]) as app:  # wrong: no such argument
        await app.get(Catalog).find(3)  # wrong: the type of an argument


def by_hand() -> None:
    Cart(catalog=Catalog(), config=CartConfig(), mailer=FakeMailer())  # wrong: two are missing
    Catalog(Cart)  # wrong: it takes nothing
    CartConfig("many")  # wrong: the type of a key


class FakeMailer:
    async def send(self, to: str) -> bool:
        return True


class SilentMailer:
    async def send(self, to: str) -> None: ...


def made_wrongly(cart: Cart) -> None:
    cart.mailer = SilentMailer()  # wrong: it does not fit the interface
    cart.catalog = Cart  # wrong: a class is no instance


class Point: ...


weaver.codec(Point, lambda point: point.x, lambda wire: Point())  # wrong: no such attribute


@weaver.routed("user")  # wrong: by= is a keyword
async def routed(user: str) -> None: ...
